# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the agent imports before any module needs it: the controller's ``module_utils``, and what stays right of it."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import zipfile
import zipimport
from typing import Iterator

#: Imported ahead: what every module imports, and the parts of the standard library that most do.
_AHEAD = ("ansible.module_utils.basic", "ansible.module_utils._internal.", "ansible.module_utils.common.")

#: Says in every result that it is deprecated, once it is imported (ansible-core 2.21).
_NOT_AHEAD = ("ansible.module_utils.common._collections_compat",)
_STANDARD = """
base64 datetime difflib errno fcntl fnmatch getpass glob grp hashlib json locale os.path platform pwd random re resource
runpy select shlex shutil signal socket stat string subprocess syslog tempfile time traceback types uuid zipfile
"""

#: File in the agent's archive: checksum and size. Set by :func:`import_ahead`.
known: dict[str, tuple[int, int]] = {}


class _Search(list):  # type: ignore[type-arg]
    """A package's ``__path__`` that looks into the module's own archive first.

    The module's program puts that archive at the head of ``sys.path``, but ``ansible`` was imported before.
    """

    def __init__(self, package: str, static: list[str]) -> None:
        super().__init__(static)
        self._inside = package.replace(".", "/")

    def __iter__(self) -> Iterator[str]:
        if sys.path and sys.path[0].endswith("_payload.zip"):
            yield f"{sys.path[0]}/{self._inside}"
        yield from super().__iter__()


def import_ahead(archive: str) -> int:
    """Import what modules share.

    Args:
        archive: Path of a zip archive of the controller's ``ansible.module_utils``, which is on ``sys.path``.

    Returns:
        How many modules of Ansible were imported.
    """
    for name in _STANDARD.split():
        importlib.import_module(name)
    with zipfile.ZipFile(archive) as files:
        known.update(
            {
                each.filename: (each.CRC, each.file_size)
                for each in files.infolist()
                if each.filename.startswith("ansible/") and each.filename.endswith(".py")
            }
        )
    for file in sorted(known):
        name = file[: -len(".py")].replace("/", ".")
        if name.startswith(_AHEAD) and not name.endswith(".__init__") and name not in _NOT_AHEAD:
            try:
                with contextlib.redirect_stdout(io.StringIO()):  # what is written would be a command's output
                    importlib.import_module(name)
            except (Exception, SystemExit):  # noqa: BLE001, S112 - it is left to the modules that need it to complain
                continue
    sys.path.remove(archive)
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "ansible"}
    for name, module in ours.items():
        if (getattr(module, "__file__", None) or "").endswith(".pyc"):
            module.__file__ = str(module.__file__)[:-1]  # as modules know it, and tell it in messages
        if hasattr(module, "__path__"):
            module.__path__ = _Search(name, list(module.__path__))
    return len(ours)


def own_python() -> str:
    """Path of the interpreter that runs this; the mounted one lets ``sys.executable`` name the image's own."""
    return str(getattr(sys.modules.get("sitecustomize"), "PYTHON", sys.executable))


def look_again() -> None:
    """Forget what folders held when this process started. The archives do not change, and reading them takes long."""
    mounted = getattr(sys.modules.get("sitecustomize"), "look_again", None)
    if mounted:
        mounted()
    for path, finder in list(sys.path_importer_cache.items()):
        if finder is None:
            del sys.path_importer_cache[path]
        elif not isinstance(finder, zipimport.zipimporter):
            invalidate = getattr(finder, "invalidate_caches", None)
            if invalidate:
                invalidate()
