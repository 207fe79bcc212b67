# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is sent into a build container to start the agent there."""

from __future__ import annotations

import _imp
import importlib.util
import io
import marshal
import zipfile
from pathlib import Path

#: Name of the agent's own package in the build container.
PACKAGE = "tierwright_agent"

#: Parts of ``module_utils`` that nothing imported ahead needs; modules that do bring them along.
_LEFT_OUT = ("powershell", "csharp", "facts", "urls.py", "api.py")

#: Reads the archive from standard input and runs what is in it. Its words are in the process list, so no secret is.
#: The folder is in memory, never in the layer.
BOOT = f"""
import os, sys, tempfile
def take(count):
    taken = b""
    while len(taken) < count:
        piece = os.read(0, count - len(taken))
        if not piece:
            sys.exit("the controller went away")
        taken += piece
    return taken
content = take(int.from_bytes(take(8), "big"))
sys.path[:] = [path for path in sys.path if path]
memory = next(path for path in ("/dev/shm", "/dev", "/tmp") if os.access(path, os.W_OK))
folder = tempfile.mkdtemp("", "tierwright-agent-", memory)
os.chmod(folder, 0o755)
archive = folder + "/agent.zip"
with open(archive, "wb") as file:
    file.write(content)
del content
sys.path.insert(0, archive)
from {PACKAGE}.server import main
main(folder, archive, *sys.argv[1:])
"""


#: Interpreters that are looked for where none is named: the mounted one first.
CANDIDATES = ("/dev/tierwright-python/bin/python3", "/usr/bin/python3")

#: Starts the first interpreter that is there.
_CHOOSE = """
boot=$1 door=$2 user=$3
shift 3
for each; do
  if command -v "$each" >/dev/null; then exec "$each" -c "$boot" "$door" "$user"; fi
done
exit 127
"""


def command(python: str, door: str, user: str) -> list[str]:
    """The command that starts the agent. Its exit status is 127 if there is no such interpreter.

    Args:
        python: Name or path of the interpreter in the build container; ``auto`` and the like for the usual ones.
        door: Path there of the socket through which the one to serve at is handed over; empty for none.
        user: Whom commands run as that name no user; empty for root.
    """
    wanted = CANDIDATES if python.startswith("auto") else (python,)
    return ["/bin/sh", "-c", _CHOOSE, "sh", BOOT, door, user, *wanted]


def payload() -> bytes:
    """What the command reads first: the archive's length in eight bytes, and the archive.

    Ansible's ``module_utils`` are those of this very controller. Nothing of Ansible is imported for that.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted((Path(__file__).parent / "inside").glob("*.py")):
            target.write(path, f"{PACKAGE}/{path.name}")
        _add_module_utils(target)
    content = archive.getvalue()
    return len(content).to_bytes(8, "big") + content


def _add_module_utils(target: zipfile.ZipFile) -> None:
    spec = importlib.util.find_spec("ansible")
    if spec is None or not spec.submodule_search_locations:
        return  # the agent then runs each module in an interpreter of its own
    root = Path(next(iter(spec.submodule_search_locations)))
    target.writestr("ansible/__init__.py", "")
    for path in sorted((root / "module_utils").rglob("*.py")):
        inside = path.relative_to(root / "module_utils")
        if not inside.parts[0].startswith(_LEFT_OUT):
            name = f"ansible/module_utils/{inside}"
            target.write(path, name)
            code = _byte_code(path, name)
            if code:
                target.writestr(f"{name}c", code)


def _byte_code(path: Path, name: str) -> bytes:
    """Byte code of a source file, as it lies beside it, under another name; empty where there is none.

    An interpreter of the same version as ours takes it and starts in half the time; others see that it is not theirs.
    It is marked as unchecked (PEP 552), for what it is compared with, a time in the archive, depends on the time zone.
    """
    try:
        found = Path(importlib.util.cache_from_source(str(path))).read_bytes()
    except (OSError, NotImplementedError):
        return b""
    if found[:4] != importlib.util.MAGIC_NUMBER or int.from_bytes(found[4:8], "little") != 0:
        return b""
    if int.from_bytes(found[8:12], "little") != int(path.stat().st_mtime) & 0xFFFFFFFF:
        return b""  # of another source
    code = marshal.loads(found[16:])  # noqa: S302 - of our own Ansible
    getattr(_imp, "_fix_co_filename", lambda *_: None)(
        code, name
    )  # or tracebacks would tell of the controller's folders
    return found[:4] + (1).to_bytes(4, "little") + bytes(8) + marshal.dumps(code)
