# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the agent remembers of modules that it has run: that they fit, and their code.

A module runs on a fork, which takes what it learned with it when it ends. So the agent itself looks at each program
once more while nothing else is to be done; later forks find the work done. Nothing of a module is ever run here.
"""

from __future__ import annotations

import _imp
import sys
import zipimport
from collections import OrderedDict
from types import CodeType
from typing import Callable

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
