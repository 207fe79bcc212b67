# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The index of a layer: its entries without their content, and how two entries differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

FILE = "file"
HARDLINK = "hardlink"
DIRECTORY = "directory"
SYMLINK = "symlink"

#: Package to version; a package is written ``name:architecture``.
Packages = Mapping[str, str]


class InstalledPackage(NamedTuple):
    """An installed package, as the database of its package manager describes it."""

    name: str
    version: str
    architecture: str
    #: The source package that it was built from, and its version; empty if the database does not name it.
    source: str = ""
    source_version: str = ""
    #: Who maintains or sells it: ``Debian OpenSSL Team <…>``; empty if the database does not name it.
    maintainer: str = ""

    @property
    def key(self) -> str:
        """Its name in :data:`Packages`."""
        return f"{self.name}:{self.architecture}"


class IndexEntry(NamedTuple):
    """A file, a folder, or any other entry of a layer."""

    #: Without a slash at either end: ``usr/bin/env``. Bytes that are not UTF-8 become surrogates (PEP 383).
    path: str
    #: ``file``, ``hardlink``, ``directory``, ``symlink``, ``character device``, ``block device`` or ``fifo``.
    kind: str
    #: Permission bits.
    mode: int
    #: Numeric owner.
    uid: int
    #: Numeric group.
    gid: int
    #: Bytes of content; for a hard link, the bytes of its target.
    size: int
    #: ``sha256:…`` of the content; empty for entries without content.
    digest: str
    #: Target of a symbolic or hard link, or the numbers of a device.
    target: str

    def same_as(self, other: IndexEntry) -> bool:
        """Return whether the two are equal, except for their times. A hard link equals a file."""
        return self._visible() == other._visible()

    def _visible(self) -> tuple[object, ...]:
        if self.kind in {FILE, HARDLINK}:
            return FILE, self.mode, self.uid, self.gid, self.digest
        return self.kind, self.mode, self.uid, self.gid, self.target


class Index(msgspec.Struct, frozen=True):
    """All entries of a layer, and the paths that it removes from the layers below it."""

    #: ``sha256:…`` of the uncompressed layer.
    digest: str
    #: Bytes of all files in the layer.
    size: int
    #: In the order of the archive. If two entries have the same path, the later one counts.
    entries: tuple[IndexEntry, ...]
    #: Paths that the layer removes.
    whiteouts: tuple[str, ...] = ()
    #: Folders in which the layer hides everything from lower layers.
    opaque: tuple[str, ...] = ()
    #: Package databases among the entries, by path.
    databases: Mapping[str, Packages] = msgspec.field(default_factory=dict)
    #: The same packages with what else these databases say, by path.
    installed: Mapping[str, tuple[InstalledPackage, ...]] = msgspec.field(default_factory=dict)
    #: One sentence for each package database that could not be read.
    unread: tuple[str, ...] = ()
    #: Content of the small files that configure apt, or name the distribution (:mod:`.merged_files`), by path.
    kept: Mapping[str, bytes] = msgspec.field(default_factory=dict)


class FileState(msgspec.Struct, frozen=True):
    """A file, folder or link as it is in one image."""

    kind: str
    #: Four octal digits: ``0644``.
    mode: str
    uid: int
    gid: int
    #: Bytes of content.
    size: int
    #: ``sha256:…`` of the content; ``null`` for entries without content.
    digest: str | None
    #: Target of a link, or the numbers of a device; ``null`` for other entries.
    target: str | None


def state(entry: IndexEntry) -> FileState:
    """Convert an entry to its state, for output as JSON."""
    mode = f"{entry.mode:04o}"
    return FileState(entry.kind, mode, entry.uid, entry.gid, entry.size, entry.digest or None, entry.target or None)


def differences(before: IndexEntry, after: IndexEntry) -> list[str]:
    """List what differs: ``type``, ``content``, ``target``, ``mode``, ``owner``."""
    aspects = []
    if _kind(before) != _kind(after):
        aspects.append("type")
    elif _kind(after) == FILE and before.digest != after.digest:
        aspects.append("content")
    elif _kind(after) != FILE and before.target != after.target:
        aspects.append("target")
    if before.mode != after.mode:
        aspects.append("mode")
    if (before.uid, before.gid) != (after.uid, after.gid):
        aspects.append("owner")
    return aspects


def _kind(entry: IndexEntry) -> str:
    return FILE if entry.kind == HARDLINK else entry.kind
