# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small files whose content is remembered with a layer: what apt is set to, and the keys that it trusts."""

from __future__ import annotations

import re

from .entry import SYMLINK, Index
from .overlay import FileSystem

#: Most bytes of a file that is kept.
LARGEST = 1 << 20

#: Files that apt reads (``sources.list(5)``, ``apt_preferences(5)``, ``apt-key(8)``), and where keyrings lie.
_KEPT = re.compile(
    r"etc/apt/(sources\.list|sources\.list\.d/[\w.-]+\.(list|sources)"
    r"|preferences|preferences\.d/[\w-]+(\.pref)?"
    r"|trusted\.gpg|trusted\.gpg\.d/[\w.-]+\.(gpg|asc)|keyrings/[^/]+)"
    r"|usr/(share|local/share|lib/apt)/keyrings/[^/]+\.(gpg|asc|pgp)"
)
_MOST_LINKS = 8


def is_kept(path: str) -> bool:
    """Say whether a file's content is remembered."""
    return _KEPT.fullmatch(path) is not None


class Kept:
    """What is remembered of an image's files."""

    def __init__(self, indexes: tuple[Index, ...], files: FileSystem) -> None:
        """Take an image's layers, and its file system, which they make."""
        self._indexes, self._files = indexes, files
        self._paths = sorted(owned.entry.path for owned in files.files() if is_kept(owned.entry.path))

    def named(self, pattern: str) -> list[str]:
        """Paths of those that a regular expression matches, in the order in which apt reads them."""
        return [path for path in self._paths if re.fullmatch(pattern, path)]

    def read(self, path: str) -> bytes | None:
        """Read a file, also through symbolic links; ``None`` where there is none, or it is not kept."""
        path = path.lstrip("/")
        for _link in range(_MOST_LINKS):
            found = self._files.find(self._files.resolved(path))
            if found is None:
                return None
            entry = found.entry
            if entry.kind != SYMLINK:
                kept = self._indexes[found.layer].kept
                return kept.get(entry.path, kept.get(entry.target))
            path = entry.target.lstrip("/") if entry.target.startswith("/") else _beside(entry.path, entry.target)
        return None


def _beside(path: str, target: str) -> str:
    return f"{path.rpartition('/')[0]}/{target}"
