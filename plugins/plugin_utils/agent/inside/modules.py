# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's modules in a process that has imported what they share already.

A module comes as a program with an archive inside: the module, and every file of ``module_utils`` that it needs. The
agent has imported the controller's ``module_utils`` once; a module runs on a fork of that. This is right only as long
as the archive carries the very same files, which :func:`unfit` makes sure of.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import importlib
import io
import re
import sys
import types
import zipfile
import zipimport
from typing import Any, Iterator

#: The archive inside a module's program, as ``ansible.executor.module_common`` writes it.
_ARCHIVE = re.compile(rb"""zip_data=['"]([A-Za-z0-9+/=]+)['"]""")

#: What Ansible writes anew for each archive, and differs by nothing but the version.
_WRITTEN = frozenset({"ansible/__init__.py", "ansible/module_utils/__init__.py"})
_VERSION = re.compile(r'^(__version__|__author__)="([^"]*)"', re.MULTILINE)

#: Imported ahead: what every module imports, and the parts of the standard library that most do.
_AHEAD = ("ansible.module_utils.basic", "ansible.module_utils._internal.", "ansible.module_utils.common.")
#: Says in every result that it is deprecated, once it is imported (ansible-core 2.21).
_NOT_AHEAD = ("ansible.module_utils.common._collections_compat",)
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
                if each.filename.startswith("ansible/")
            }
        )
    for file in sorted(_known):
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
        if hasattr(module, "__path__"):
            module.__path__ = _Search(name, list(module.__path__))
    return len(ours)


def unfit(program: bytes) -> str:
    """Say why a module must not run on a fork of this process; empty if it may."""
    if not _known:
        return "the agent has no module_utils"
    found = _ARCHIVE.search(program)
    if found is None:
        return "it is no program of the kind that the agent knows"
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(found[1]))) as archive:
            files = archive.infolist()
            _take_version(archive)
    except (binascii.Error, zipfile.BadZipFile, KeyError, ValueError) as error:
        return f"the archive in it cannot be read ({error})"
    for file in files:
        known = _known.get(file.filename)
        if known and file.filename not in _WRITTEN and known != (file.CRC, file.file_size):
            return f"it brings another {file.filename}"
    return ""


def execute(program: bytes) -> None:
    """Run a module's program as a fresh interpreter would run it from its standard input."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.argv = [""]
    _look_again()
    exec(compile(program, "<stdin>", "exec", dont_inherit=True), main.__dict__)  # noqa: S102 - its purpose


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
