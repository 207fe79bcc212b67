# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command and the archive that start the agent in a build container."""

from __future__ import annotations

import _imp
import importlib.util
import io
import marshal
import zipfile
from collections.abc import Mapping
from pathlib import Path

from .archive_cache import cached

#: Name of the agent's Python package in the build container.
PACKAGE = "tierwright_agent"

#: Parts of ``module_utils`` that are not Python for Linux.
_LEFT_OUT = ("powershell", "csharp")

#: Python program that reads the archive from standard input and runs the agent in it. The process list shows the
#: program, so it must not contain secrets. Its folder is in memory, so it never becomes part of the layer.
BOOT = f"""
import os, sys, tempfile
def read(count):
    data = b""
    while len(data) < count:
        chunk = os.read(0, count - len(data))
        if not chunk:
            sys.exit("the controller closed the connection")
        data += chunk
    return data
content = read(int.from_bytes(read(8), "big"))
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


#: Interpreters that are tried if none is configured; the mounted one is first.
CANDIDATES = ("/dev/tierwright-python/bin/python3", "/usr/bin/python3")

#: Shell script that starts the first interpreter that exists.
_CHOOSE = """
boot=$1 handover=$2 user=$3
shift 3
for python; do
  if command -v "$python" >/dev/null; then exec "$python" -c "$boot" "$handover" "$user"; fi
done
exit 127
"""


def command(python: str, handover: str, user: str) -> list[str]:
    """Return the command that starts the agent. Its exit status is 127 if the interpreter does not exist.

    Args:
        python: Name or path of the interpreter in the build container; ``auto`` (or ``auto_…``) for :data:`CANDIDATES`.
        handover: Path in the build container of the socket through which the agent gets its listening socket; empty if
            there is none.
        user: Default user of commands; empty for root.
    """
    interpreters = CANDIDATES if python.startswith("auto") else (python,)
    return ["/bin/sh", "-c", _CHOOSE, "sh", BOOT, handover, user, *interpreters]


def payload() -> bytes:
    """Return the first input of the command: the length of the archive in eight bytes, and the archive.

    The archive contains the ``module_utils`` of the controller's Ansible. Ansible is not imported for this. The
    archive is cached, because compressing it takes as long as starting the agent.
    """
    content = cached(_sources(), _archive)
    return len(content).to_bytes(8, "big") + content


def _sources() -> dict[str, Path]:
    """Name in the archive to file."""
    files = {f"{PACKAGE}/{path.name}": path for path in sorted((Path(__file__).parent / "inside").glob("*.py"))}
    spec = importlib.util.find_spec("ansible")
    if spec is None or not spec.submodule_search_locations:
        return files  # the agent then runs each module in a new interpreter
    root = Path(next(iter(spec.submodule_search_locations)), "module_utils")
    inside = {path.relative_to(root): path for path in sorted(root.rglob("*.py"))}
    utils = {name: path for name, path in inside.items() if not name.parts[0].startswith(_LEFT_OUT)}
    return {**files, **{f"ansible/module_utils/{name}": path for name, path in utils.items()}}


def _archive(sources: Mapping[str, Path]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        if any(name.startswith("ansible/") for name in sources):
            target.writestr("ansible/__init__.py", "")
        for name, path in sources.items():
            target.write(path, name)
            code = byte_code(path, name)
            if code:
                target.writestr(f"{name}c", code)
    return archive.getvalue()


def byte_code(path: Path, name: str) -> bytes:
    """Return the cached byte code of a source file, for a different file name; empty if there is none.

    With it, an interpreter of the same version starts in half the time. Other versions ignore it. It is marked as
    unchecked (PEP 552): otherwise Python would compare a time in the archive, which depends on the time zone.
    """
    try:
        cached = Path(importlib.util.cache_from_source(str(path))).read_bytes()
    except (OSError, NotImplementedError):
        return b""
    if cached[:4] != importlib.util.MAGIC_NUMBER or int.from_bytes(cached[4:8], "little") != 0:
        return b""
    if int.from_bytes(cached[8:12], "little") != int(path.stat().st_mtime) & 0xFFFFFFFF:
        return b""  # it belongs to a different version of the source
    code = marshal.loads(cached[16:])  # noqa: S302 - it belongs to the controller's Ansible
    # Otherwise tracebacks would show folders of the controller.
    getattr(_imp, "_fix_co_filename", lambda *_: None)(code, name)
    return cached[:4] + (1).to_bytes(4, "little") + bytes(8) + marshal.dumps(code)
