# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Code that the agent loads in advance: the controller's ``module_utils``, and compiled code of modules.

A module runs on a fork, so its imports and compiled code are lost when it ends. When the agent is idle, it therefore
compiles each module that has run, and later forks use the result. The agent process itself never runs code of a module.

The agent's archive has byte code of ``module_utils``. What is not imported in advance, for example the code that
gathers facts, is imported from there. So an interpreter of the controller's version compiles nothing of it.
"""

from __future__ import annotations

import _imp
import contextlib
import importlib
import importlib.util
import io
import sys
import zipfile
import zipimport
from collections import OrderedDict
from types import CodeType
from typing import Callable, Iterator

#: Modules to import in advance: those that every Ansible module imports.
_AHEAD = ("ansible.module_utils.basic", "ansible.module_utils._internal.", "ansible.module_utils.common.")

#: Never imported in advance: once it is imported, every result contains its deprecation warning (ansible-core 2.21).
_NOT_AHEAD = ("ansible.module_utils.common._collections_compat",)

#: Modules of the standard library that most Ansible modules import.
_STANDARD = """
base64 datetime difflib errno fcntl fnmatch getpass glob grp hashlib json locale os.path platform pwd random re resource
runpy select shlex shutil signal socket stat string subprocess syslog tempfile time traceback types uuid zipfile
"""

#: File in the agent's archive to its checksum and size. :func:`import_ahead` fills it.
archive_files: dict[str, tuple[int, int]] = {}

#: The files of it with byte code for this interpreter.
_compiled_files: set[str] = set()


class _Search(list):  # type: ignore[type-arg]
    """A package's ``__path__`` that also searches the archive of the current module.

    The program of a module puts its archive at the beginning of ``sys.path``. This alone has no effect on the package
    ``ansible``, because that was imported before. Both archives have the same content where both have a file
    (:meth:`.modules.Module.why_unsuitable`). The agent's is the first if it has byte code for this interpreter.
    """

    def __init__(self, package: str, static: list[str]) -> None:
        super().__init__(static)
        self._inside = package.replace(".", "/")

    def __iter__(self) -> Iterator[str]:
        if _compiled_files:
            yield from super().__iter__()
        if sys.path and sys.path[0].endswith("_payload.zip"):
            yield f"{sys.path[0]}/{self._inside}"
        if not _compiled_files:
            yield from super().__iter__()


def import_ahead(archive: str) -> int:
    """Import the code that modules share.

    Args:
        archive: Path of a zip archive with the controller's ``ansible.module_utils``. It is on ``sys.path``.

    Returns:
        The number of Python modules of Ansible that are imported now.
    """
    for name in _STANDARD.split():
        importlib.import_module(name)
    with zipfile.ZipFile(archive) as files:
        archive_files.update(
            {
                info.filename: (info.CRC, info.file_size)
                for info in files.infolist()
                if info.filename.startswith("ansible/") and info.filename.endswith(".py")
            }
        )
        byte_code = [name for name in files.namelist() if name.endswith(".pyc")]
        if byte_code and _is_for_this_python(files, byte_code[0]):  # one Python compiled all of them
            _compiled_files.update(name[:-1] for name in byte_code)
    for file in sorted(archive_files):
        name = file[: -len(".py")].replace("/", ".")
        if name.startswith(_AHEAD) and not name.endswith(".__init__") and name not in _NOT_AHEAD:
            try:
                with contextlib.redirect_stdout(io.StringIO()):  # otherwise it would become the output of a command
                    importlib.import_module(name)
            except (Exception, SystemExit):  # noqa: BLE001, S112 - modules that need it will report the error
                continue
    sys.path.remove(archive)
    imported = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "ansible"}
    for name, module in imported.items():
        if (getattr(module, "__file__", None) or "").endswith(".pyc"):
            module.__file__ = str(module.__file__)[:-1]  # modules use this path, for example in messages
        if hasattr(module, "__path__"):
            module.__path__ = _Search(name, list(module.__path__))
    return len(imported)


def _is_for_this_python(files: zipfile.ZipFile, name: str) -> bool:
    with files.open(name) as file:
        return file.read(len(importlib.util.MAGIC_NUMBER)) == importlib.util.MAGIC_NUMBER


def must_be_compiled(file: str) -> bool:
    """Say whether a file of a module's archive is neither imported in advance nor compiled in the agent's archive."""
    return (
        file.endswith(".py")
        and file not in _compiled_files
        and file[: -len(".py")].replace("/", ".") not in sys.modules
    )


def own_python() -> str:
    """Return the path of the running interpreter. In the mounted Python, ``sys.executable`` is that of the image."""
    return str(getattr(sys.modules.get("sitecustomize"), "PYTHON", sys.executable))


def refresh_import_caches() -> None:
    """Clear the cached contents of folders. Archives are kept: they do not change, and reading them takes long."""
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


#: Digest of a suitable archive to its files' names and code. The most recently added archive is at the end.
_archives: OrderedDict[bytes, dict[str, CodeType]] = OrderedDict()

#: Source to code of the first part of a program, which most programs have in common.
_heads: dict[bytes, CodeType] = {}

#: Sets the file name in code, as importlib does for byte code.
_set_file_name: Callable[[CodeType, str], None] = getattr(_imp, "_fix_co_filename", lambda *_: None)

#: Maximum number of programs to remember. A role uses a few dozen modules.
_MAX_PROGRAMS = 64


def is_suitable(archive: bytes) -> bool:
    """Say whether the archive with this digest is known to be suitable (:meth:`.modules.Module.why_unsuitable`)."""
    return archive in _archives


def compiled_head(source: bytes) -> CodeType:
    """Return the code of the first part of a program. It is compiled only if it is not cached."""
    return _heads.get(source) or compile(source, "<stdin>", "exec", dont_inherit=True)


def remember(archive: bytes, common: bytes, sources: dict[str, bytes]) -> None:
    """Remember a suitable program.

    Args:
        archive: Digest of its archive.
        common: Source of its first part, for :func:`compiled_head`.
        sources: Name to source of the files that only its archive has.
    """
    if len(_heads) < _MAX_PROGRAMS:
        _heads.setdefault(common, compiled_head(common))
    _archives[archive] = {name: code for name, source in sources.items() if (code := _compile(name, source))}
    while len(_archives) > _MAX_PROGRAMS:
        _archives.popitem(last=False)


def _compile(name: str, source: bytes) -> CodeType | None:
    try:
        return compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None  # the import in the fork will report the error


def import_from(archive: bytes) -> None:
    """Let this process import the files of an archive from the remembered code."""
    code = _archives.get(archive)
    if not code:
        return

    class Importer(zipimport.zipimporter):
        def get_filename(self, fullname: str) -> str:  # the base class compiles the source only to return its name
            file = f"{self.prefix}{fullname.rpartition('.')[2]}.py"
            return f"{self.archive}/{file}" if code and code.get(file) else super().get_filename(fullname)

        def get_code(self, fullname: str) -> CodeType:
            file = f"{self.prefix}{fullname.rpartition('.')[2]}.py"
            remembered = code.get(file) if code else None
            if remembered is None:
                return super().get_code(fullname)
            _set_file_name(remembered, f"{self.archive}/{file}")
            return remembered

    def hook(path: str) -> Importer:
        if "_payload.zip" not in path:
            raise ImportError(path)
        return Importer(path)

    sys.path_hooks.insert(0, hook)
