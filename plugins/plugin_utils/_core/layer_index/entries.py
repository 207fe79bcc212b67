# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Entries of a layer, and the state of a file.

What is in one layer, without its bytes.

What can be said of a file, and how two states of one differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

FILE = "file"
HARDLINK = "hardlink"
DIRECTORY = "directory"
SYMLINK = "symlink"

#: Package to version; a package is written ``name:architecture``.
Packages = Mapping[str, str]


class IndexEntry(NamedTuple):
    """A file, a folder, or anything else that a layer holds."""

    #: Without a slash at either end: ``usr/bin/env``. Bytes that are no UTF-8 are surrogates (PEP 383).
    path: str
    #: ``file``, ``hardlink``, ``directory``, ``symlink``, ``character device``, ``block device`` or ``fifo``.
    kind: str
    #: Permission bits.
    mode: int
    #: Numeric owner.
    uid: int
    #: Numeric group.
    gid: int
    #: Bytes of content; those of its target for a hard link.
    size: int
    #: ``sha256:…`` of the content; empty for what has none.
    digest: str
    #: What a symbolic link says, the path that a hard link shares its bytes with, or a device's numbers.
    target: str

    def same_as(self, other: IndexEntry) -> bool:
        """Say whether nobody could tell the two apart but by their times."""
        return self._visible() == other._visible()

    def _visible(self) -> tuple[object, ...]:
        if self.kind in {FILE, HARDLINK}:
            return FILE, self.mode, self.uid, self.gid, self.digest
        return self.kind, self.mode, self.uid, self.gid, self.target


@dataclass(frozen=True, slots=True)
class Index:
    """All of a layer's entries, and what it takes away from the layers below it."""

    #: ``sha256:…`` of the uncompressed layer.
    digest: str
    #: Bytes of all its files.
    size: int
    #: In the order of the archive; of two with one path the later counts.
    entries: tuple[IndexEntry, ...]
    #: Paths that it removes.
    whiteouts: tuple[str, ...] = ()
    #: Folders below which nothing of the lower layers stays.
    opaque: tuple[str, ...] = ()
    #: Package databases among the entries, by path.
    databases: Mapping[str, Packages] = field(default_factory=dict)
    #: Package databases that could not be read, each a sentence.
    unread: tuple[str, ...] = ()
    #: Content of small files that say what apt is set to (:mod:`.merged_files`), by path.
    kept: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileState:
    """A file, folder or link as it is in one image."""

    kind: str
    #: Four octal digits: ``0644``.
    mode: str
    uid: int
    gid: int
    #: Bytes of content.
    size: int
    #: ``sha256:…`` of the content; ``null`` for what has none.
    digest: str | None
    #: Where a link leads; ``null`` for what is none.
    target: str | None


def state(entry: IndexEntry) -> FileState:
    """Say what there is to say of an entry."""
    mode = f"{entry.mode:04o}"
    return FileState(entry.kind, mode, entry.uid, entry.gid, entry.size, entry.digest or None, entry.target or None)


def differences(before: IndexEntry, after: IndexEntry) -> list[str]:
    """Name what differs: ``type``, ``content``, ``target``, ``mode``, ``owner``."""
    found = []
    if _kind(before) != _kind(after):
        found.append("type")
    elif _kind(after) == FILE and before.digest != after.digest:
        found.append("content")
    elif _kind(after) != FILE and before.target != after.target:
        found.append("target")
    if before.mode != after.mode:
        found.append("mode")
    if (before.uid, before.gid) != (after.uid, after.gid):
        found.append("owner")
    return found


def _kind(entry: IndexEntry) -> str:
    return FILE if entry.kind == HARDLINK else entry.kind
