# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running Ansible modules on a fork of the agent, which has imported their shared code already.

Ansible sends a module as a program with an archive: the module, and each file of ``module_utils`` that it needs. The
agent has imported the controller's ``module_utils``. A module may run on a fork of the agent only if its archive has
the same files, which :meth:`Module.why_unsuitable` checks.
"""

from __future__ import annotations

import binascii
import hashlib
import io
import re
import sys
import types
import zipfile
from typing import Any

from . import preload

#: The text before and after the archive in a program. ``ansible.executor.module_common`` writes each argument of one
#: call on a separate line, with ``repr``. No other line begins like this.
_ARCHIVE_BEGINS, _ARCHIVE_ENDS = b"\nzip_data='", b"'"

#: Placeholder for the archive while the program is compiled: with the archive, compiling takes ten times as long.
_PLACEHOLDER = "the archive of this module"

#: Text at the end of the part that all programs have in common.
_CALL = b'\nif __name__ == "__main__":\n'

#: Files that Ansible generates for each archive. They differ only in the version.
_GENERATED = frozenset({"ansible/__init__.py", "ansible/module_utils/__init__.py"})
_VERSION = re.compile(r'^(__version__|__author__)="([^"]*)"', re.MULTILINE)


class Module:
    """The program of a module, split into its parts."""

    def __init__(self, program: bytes) -> None:
        """Find the parts of ``program``."""
        self._program = program
        self._begin = program.find(_ARCHIVE_BEGINS) + len(_ARCHIVE_BEGINS)
        self._end = program.find(_ARCHIVE_ENDS, self._begin)
        self._archive = program[self._begin : self._end]
        self._digest = hashlib.sha256(self._archive).digest()
        self._call = program.find(_CALL) + 1

    def why_unsuitable(self) -> str:
        """Return the reason why it must not run on a fork of this process; empty if it may."""
        if not preload.archive_files:
            return "the agent has no module_utils"
        if self._begin < len(_ARCHIVE_BEGINS) or self._end < 0 or self._call < 1:
            return "its program does not have the form that the agent expects"
        if preload.is_suitable(self._digest):
            return ""
        try:
            with self._open() as archive:
                files = archive.infolist()
                _set_version(archive)
        except (binascii.Error, zipfile.BadZipFile, KeyError, ValueError) as error:
            return f"the archive in its program cannot be read ({error})"
        for file in files:
            expected = preload.archive_files.get(file.filename)
            if expected and file.filename not in _GENERATED and expected != (file.CRC, file.file_size):
                return f"it contains a different {file.filename}"
        return ""

    def learn(self) -> None:
        """Compile and remember the module, so that its next run is faster."""
        if self.why_unsuitable() or preload.is_suitable(self._digest):
            return
        with self._open() as archive:
            names = [name for name in archive.namelist() if preload.must_be_compiled(name) and name not in _GENERATED]
            sources = {name: archive.read(name) for name in names}
        preload.remember(self._digest, self._program[: self._call], sources)

    def execute(self) -> None:
        """Run the module, as a new interpreter would run it from its standard input."""
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        sys.argv = [""]
        preload.refresh_import_caches()
        preload.import_from(self._digest)
        exec(preload.compiled_head(self._program[: self._call]), main.__dict__)  # noqa: S102 - the purpose of this method
        exec(self._compile_call(), main.__dict__)  # noqa: S102

    def _compile_call(self) -> types.CodeType:
        before, after = self._program[self._call : self._begin], self._program[self._end :]
        lines = b"\n" * self._program.count(b"\n", 0, self._call)  # so that line numbers in tracebacks are right
        code = compile(lines + before + _PLACEHOLDER.encode() + after, "<stdin>", "exec", dont_inherit=True)
        archive = self._archive.decode("ascii")
        return code.replace(co_consts=tuple(archive if const == _PLACEHOLDER else const for const in code.co_consts))

    def _open(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(binascii.a2b_base64(self._archive)))


def _set_version(archive: zipfile.ZipFile) -> None:
    package: Any = sys.modules["ansible"]
    for name, value in _VERSION.findall(archive.read("ansible/__init__.py").decode()):
        setattr(package, name, value)
