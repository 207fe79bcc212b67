# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's modules in a process that has imported what they share already.

A module comes as a program with an archive inside: the module, and every file of ``module_utils`` that it needs. The
agent has imported the controller's ``module_utils`` once; a module runs on a fork of that. This is right only as long
as the archive carries the very same files, which :meth:`Module.unfit` makes sure of.
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

#: Before and after the archive inside a module's program, as ``ansible.executor.module_common`` writes it: arguments of
#: one call, each written by ``repr``, on a line of its own. No other begins a line with this.
_ARCHIVE_BEGINS, _ARCHIVE_ENDS = b"\nzip_data='", b"'"

#: Stands for the archive while the program is compiled, which takes ten times as long with it.
_ARCHIVE_HERE = "the archive of this module"

#: Where the part ends that all programs have in common.
_CALL = b'\nif __name__ == "__main__":\n'

#: What Ansible writes anew for each archive, and differs by nothing but the version.
_WRITTEN = frozenset({"ansible/__init__.py", "ansible/module_utils/__init__.py"})
_VERSION = re.compile(r'^(__version__|__author__)="([^"]*)"', re.MULTILINE)


class Module:
    """A module's program, taken apart."""

    def __init__(self, program: bytes) -> None:
        """Find the archive in ``program``."""
        self._program = program
        self._begin = program.find(_ARCHIVE_BEGINS) + len(_ARCHIVE_BEGINS)
        self._end = program.find(_ARCHIVE_ENDS, self._begin)
        self._archive = program[self._begin : self._end]
        self._digest = hashlib.sha256(self._archive).digest()
        self._call = program.find(_CALL) + 1

    def unfit(self) -> str:
        """Say why it must not run on a fork of this process; empty if it may."""
        if not preload.known:
            return "the agent has no module_utils"
        if self._begin < len(_ARCHIVE_BEGINS) or self._end < 0 or self._call < 1:
            return "it is no program of the kind that the agent knows"
        if preload.fits(self._digest):
            return ""
        try:
            with self._open() as archive:
                files = archive.infolist()
                _take_version(archive)
        except (binascii.Error, zipfile.BadZipFile, KeyError, ValueError) as error:
            return f"the archive in it cannot be read ({error})"
        for file in files:
            known = preload.known.get(file.filename)
            if known and file.filename not in _WRITTEN and known != (file.CRC, file.file_size):
                return f"it brings another {file.filename}"
        return ""

    def learn(self) -> None:
        """Remember what the next run of the same module can do without."""
        if self.unfit() or preload.fits(self._digest):
            return
        with self._open() as archive:
            own = [name for name in archive.namelist() if name.endswith(".py") and name not in preload.known]
            sources = {name: archive.read(name) for name in own if name not in _WRITTEN}
        preload.remember(self._digest, self._program[: self._call], sources)

    def execute(self) -> None:
        """Run it as a fresh interpreter would run it from its standard input."""
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        sys.argv = [""]
        preload.look_again()
        preload.import_from(self._digest)
        exec(preload.head(self._program[: self._call]), main.__dict__)  # noqa: S102 - its purpose
        exec(self._compiled_call(), main.__dict__)  # noqa: S102

    def _compiled_call(self) -> types.CodeType:
        before, after = self._program[self._call : self._begin], self._program[self._end :]
        lines = b"\n" * self._program.count(b"\n", 0, self._call)  # so that a traceback tells the right one
        code = compile(lines + before + _ARCHIVE_HERE.encode() + after, "<stdin>", "exec", dont_inherit=True)
        archive = self._archive.decode("ascii")
        return code.replace(co_consts=tuple(archive if each == _ARCHIVE_HERE else each for each in code.co_consts))

    def _open(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(binascii.a2b_base64(self._archive)))


def _take_version(archive: zipfile.ZipFile) -> None:
    package: Any = sys.modules["ansible"]
    for name, value in _VERSION.findall(archive.read("ansible/__init__.py").decode()):
        setattr(package, name, value)
