# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Code imported ahead and remembered.

What the agent imports before any module needs it: the controller's ``module_utils``, and what stays right of it.

What the agent remembers of modules that it has run: that they fit, and their code.

A module runs on a fork, which takes what it learned with it when it ends. So the agent itself looks at each program
once more while nothing else is to be done; later forks find the work done. Nothing of a module is ever run here.
"""

from __future__ import annotations

import _imp
import contextlib
import importlib
import io
import sys
import zipfile
import zipimport
from collections import OrderedDict
from types import CodeType
from typing import Callable, Iterator

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


#: Code of an archive's own files by their names in it, for the archives that fit; the last used at the end.
_archives: OrderedDict[bytes, dict[str, CodeType]] = OrderedDict()

#: Code of the part of a program that all have in common.
_heads: dict[bytes, CodeType] = {}

#: Lets code name the file that it would have come from, as importlib does for byte code.
_name_file: Callable[[CodeType, str], None] = getattr(_imp, "_fix_co_filename", lambda *_: None)

#: A role uses a few dozen modules.
_MOST = 64


def fits(archive: bytes) -> bool:
    """Say whether an archive of this digest is known to fit."""
    return archive in _archives


def head(source: bytes) -> CodeType:
    """Compile the common part of a program, or find it compiled."""
    return _heads.get(source) or compile(source, "<stdin>", "exec", dont_inherit=True)


def remember(archive: bytes, common: bytes, sources: dict[str, bytes]) -> None:
    """Remember a program that fits.

    Args:
        archive: Digest of its archive.
        common: The part of it that :func:`head` is asked for.
        sources: Source of the archive's own files by their names in it.
    """
    if len(_heads) < _MOST:
        _heads.setdefault(common, head(common))
    _archives[archive] = {name: code for name, source in sources.items() if (code := _compiled(name, source))}
    while len(_archives) > _MOST:
        _archives.popitem(last=False)


def _compiled(name: str, source: bytes) -> CodeType | None:
    try:
        return compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None  # whoever imports it shall be told


def import_from(archive: bytes) -> None:
    """Let this process import an archive's files from what was remembered of them."""
    code = _archives.get(archive)
    if not code:
        return

    class Importer(zipimport.zipimporter):
        def get_code(self, fullname: str) -> CodeType:
            file = f"{self.prefix}{fullname.rpartition('.')[2]}.py"
            found = code.get(file) if code else None
            if found is None:
                return super().get_code(fullname)
            _name_file(found, f"{self.archive}/{file}")
            return found

    def hook(path: str) -> Importer:
        if "_payload.zip" not in path:
            raise ImportError(path)
        return Importer(path)

    sys.path_hooks.insert(0, hook)
