# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's modules in a process that has imported what they share already.

A module comes as a program with an archive inside: the module, and every file of ``module_utils`` that it needs. The
agent has imported the controller's ``module_utils`` once; a module runs on a fork of that. This is right only as long
as the archive carries the very same files, which :meth:`Module.unfit` makes sure of.
"""

from __future__ import annotations

import binascii
import importlib
import io
import re
import sys
import types
import zipfile
import zipimport
from typing import Any, Iterator

#: Before and after the archive inside a module's program, as ``ansible.executor.module_common`` writes it: arguments of
#: one call, each written by ``repr``, on a line of its own. No other begins a line with this.
_ARCHIVE_BEGINS, _ARCHIVE_ENDS = b"\nzip_data='", b"'"

#: Stands for the archive while the program is compiled, which takes ten times as long with it.
_ARCHIVE_HERE = "the archive of this module"

#: What Ansible writes anew for each archive, and differs by nothing but the version.
_WRITTEN = frozenset({"ansible/__init__.py", "ansible/module_utils/__init__.py"})
_VERSION = re.compile(r'^(__version__|__author__)="([^"]*)"', re.MULTILINE)

#: Imported ahead: what every module imports, and the parts of the standard library that most do.
_AHEAD = ("ansible.module_utils.basic", "ansible.module_utils._internal.", "ansible.module_utils.common.")
_STANDARD = """
base64 datetime difflib errno fcntl fnmatch getpass glob grp hashlib json locale os.path platform pwd random re resource
runpy select shlex shutil signal socket stat string subprocess syslog tempfile time traceback types uuid zipfile
"""

#: File in the agent's archive: checksum and size. Set by :func:`import_ahead`.
_known: dict[str, tuple[int, int]] = {}


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
        _known.update(
            {
                each.filename: (each.CRC, each.file_size)
                for each in files.infolist()
                if each.filename.startswith("ansible/") and each.filename.endswith(".py")
            }
        )
    for file in sorted(_known):
        name = file[: -len(".py")].replace("/", ".")
        if name.startswith(_AHEAD) and not name.endswith(".__init__"):
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001, S112 - one that cannot be imported here is left to the modules that need it
                continue
    sys.path.remove(archive)
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "ansible"}
    for name, module in ours.items():
        if hasattr(module, "__path__"):
            module.__path__ = _Search(name, list(module.__path__))
    return len(ours)


class Module:
    """A module's program, taken apart."""

    def __init__(self, program: bytes) -> None:
        """Find the archive in ``program``."""
        self._program = program
        self._begin = program.find(_ARCHIVE_BEGINS) + len(_ARCHIVE_BEGINS)
        self._end = program.find(_ARCHIVE_ENDS, self._begin)

    def unfit(self) -> str:
        """Say why it must not run on a fork of this process; empty if it may."""
        if not _known:
            return "the agent has no module_utils"
        if self._begin < len(_ARCHIVE_BEGINS) or self._end < 0:
            return "it is no program of the kind that the agent knows"
        try:
            content = binascii.a2b_base64(self._program[self._begin : self._end])
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                files = archive.infolist()
                _take_version(archive)
        except (binascii.Error, zipfile.BadZipFile, KeyError, ValueError) as error:
            return f"the archive in it cannot be read ({error})"
        for file in files:
            known = _known.get(file.filename)
            if known and file.filename not in _WRITTEN and known != (file.CRC, file.file_size):
                return f"it brings another {file.filename}"
        return ""

    def execute(self) -> None:
        """Run it as a fresh interpreter would run it from its standard input."""
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        sys.argv = [""]
        _look_again()
        exec(self._compiled(), main.__dict__)  # noqa: S102 - its purpose

    def _compiled(self) -> types.CodeType:
        short = self._program[: self._begin] + _ARCHIVE_HERE.encode() + self._program[self._end :]
        code = compile(short, "<stdin>", "exec", dont_inherit=True)
        archive = self._program[self._begin : self._end].decode("ascii")
        return code.replace(co_consts=tuple(archive if each == _ARCHIVE_HERE else each for each in code.co_consts))


def own_python() -> str:
    """Path of the interpreter that runs this; the mounted one lets ``sys.executable`` name the image's own."""
    return str(getattr(sys.modules.get("sitecustomize"), "PYTHON", sys.executable))


def _look_again() -> None:
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


def _take_version(archive: zipfile.ZipFile) -> None:
    package: Any = sys.modules["ansible"]
    for name, value in _VERSION.findall(archive.read("ansible/__init__.py").decode()):
        setattr(package, name, value)
