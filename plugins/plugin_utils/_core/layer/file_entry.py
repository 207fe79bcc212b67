# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The entry of one path in a root file system, and trees of entries.

Paths are bytes, relative to the root and without a slash at either end, because file names need not be valid text.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import msgspec

from ..errors import SealError

#: Number of bytes that are read at once.
CHUNK = 1 << 20

#: Prefix of the name by which a layer removes a file of its parent (OCI image specification, ``layer.md``).
WHITEOUT = b".wh."

#: Extended attributes that a layer carries: file capabilities and access control lists. All other attributes belong to
#: the machine that stores the file (labels of SELinux, marks of the overlay).
KEPT_ATTRIBUTES = frozenset({b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"})


class FileKind(Enum):
    """The type of an entry; the values are the type flags of tar."""

    FILE = b"0"
    LINK = b"1"
    SYMLINK = b"2"
    CHARACTER = b"3"
    BLOCK = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"
    #: A tar archive cannot contain a socket, so a layer cannot either.
    SOCKET = b"s"


class Slice(msgspec.Struct, frozen=True):
    """A file's content, as a part of a file on this machine: from ``offset`` on, as long as the entry's size."""

    path: bytes
    offset: int = 0


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One path, with all properties that a layer stores for it."""

    path: bytes
    kind: FileKind
    #: Permission bits with setuid, setgid and sticky.
    mode: int
    uid: int
    gid: int
    #: Seconds since 1970.
    mtime: int
    #: Size of a file's content in bytes.
    size: int = 0
    #: Target of a link.
    target: bytes = b""
    #: Major and minor number of a device.
    device: tuple[int, int] = (0, 0)
    #: Extended attributes, sorted.
    attributes: tuple[tuple[bytes, bytes], ...] = ()
    #: A file's content, in a file or in memory.
    content: Slice | bytes = b""
    #: SHA-256 of a file's content, if it is known. Then the content itself may be missing.
    digest: bytes = b""
    #: The same value for all names of one file; ``None`` if the file has one name only.
    inode: Hashable = None
    #: Names of other extended attributes (``user.…``), which a layer does not carry.
    foreign: tuple[bytes, ...] = field(default=(), compare=False)
    #: Time of the last change that the kernel recorded, in nanoseconds since 1970; ``None`` if it was read from an
    #: export.
    changed: int | None = field(default=None, compare=False)


class PathChange(msgspec.Struct, frozen=True):
    """A path after (``now``) and before the build. At least one of the two is not ``None``."""

    now: FileEntry | None
    before: FileEntry | None


def same(entry: FileEntry, other: FileEntry) -> bool:
    """Tell whether two entries are the same, except for their times and the number of their names."""
    if _properties(entry) != _properties(other):
        return False
    return entry.kind is not FileKind.FILE or entry.size == 0 or digest(entry) == digest(other)


def digest(entry: FileEntry) -> bytes:
    """Return the SHA-256 of a file's content.

    Raises:
        SealError: The file is shorter than the entry says, or cannot be read.
    """
    if entry.digest:
        return entry.digest
    sha256 = hashlib.sha256()
    for piece in pieces(entry):
        sha256.update(piece)
    return sha256.digest()


def pieces(entry: FileEntry) -> Iterator[bytearray]:
    """Yield a file's content, in pieces of :data:`CHUNK` bytes.

    Raises:
        SealError: The file is shorter than the entry says, or cannot be read.
    """
    for start in range(0, entry.size, CHUNK):
        piece = bytearray(min(entry.size - start, CHUNK))
        fill(memoryview(piece), entry, start)
        yield piece


def fill(part: memoryview, entry: FileEntry, start: int) -> None:
    """Fill ``part`` with the content of a file from the position ``start`` on.

    Raises:
        SealError: The file is shorter than the entry says, or cannot be read.
    """
    if isinstance(entry.content, bytes):
        part[:] = entry.content[start : start + len(part)]
        return
    try:
        file = os.open(entry.content.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            position = entry.content.offset + start
            while part:
                count = os.preadv(file, [part], position)
                if not count:
                    raise SealError(
                        f"/{printable_path(entry.path)} became shorter while it was read; a process still writes it"
                    )
                position += count
                part = part[count:]
        finally:
            os.close(file)
    except OSError as error:
        raise SealError(f"/{printable_path(entry.path)} cannot be read: {error.strerror}") from error


def printable_path(path: bytes) -> str:
    """Return a path for a message: bytes that are not text, control characters and line ends are escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def parent(path: bytes) -> bytes:
    """Return the folder that contains a path; empty for a path directly in the root."""
    return path.rpartition(b"/")[0]


def _properties(entry: FileEntry) -> tuple[object, ...]:
    size = entry.size if entry.kind is FileKind.FILE else 0
    return (entry.kind, entry.mode, entry.uid, entry.gid, size, entry.target, entry.device, entry.attributes)


class Origin(Protocol):
    """A tree of entries, for example that of the parent's image. Links are not followed."""

    def get(self, path: bytes) -> FileEntry | None:
        """Return the entry at ``path``; ``None`` if nothing is there."""

    def children(self, folder: bytes) -> Iterable[FileEntry]:
        """Return the entries directly in ``folder``, in no particular order; empty if it is not a folder."""


class KnownTree:
    """An origin with all its entries in memory."""

    def __init__(self, entries: Mapping[bytes, FileEntry]) -> None:
        """Take the entries by path."""
        self._entries = entries
        self._inside: dict[bytes, list[FileEntry]] = {}

    def get(self, path: bytes) -> FileEntry | None:
        """See :class:`Origin`."""
        return self._entries.get(path)

    def children(self, folder: bytes) -> Iterable[FileEntry]:
        """See :class:`Origin`."""
        if not self._inside:
            for path, entry in self._entries.items():
                self._inside.setdefault(parent(path), []).append(entry)
        return self._inside.get(folder, ())


class LayeredTree:
    """An origin with a layer on top: the tree of the resulting image."""

    def __init__(self, origin: Origin, layer: Mapping[bytes, FileEntry | None]) -> None:
        """Take the origin, and the layer's entries by path; ``None`` for a path that the layer removes."""
        self._origin, self._layer = origin, layer
        self._inside: dict[bytes, list[bytes]] = {}
        for path in layer:
            self._inside.setdefault(parent(path), []).append(path)

    def get(self, path: bytes) -> FileEntry | None:
        """See :class:`Origin`."""
        if path in self._layer:
            return self._layer[path]
        ancestor = parent(path)
        while ancestor:
            if ancestor in self._layer and not _is_folder(self._layer[ancestor]):
                return None
            ancestor = parent(ancestor)
        return self._origin.get(path)

    def children(self, folder: bytes) -> Iterable[FileEntry]:
        """See :class:`Origin`."""
        if folder and not _is_folder(self.get(folder)):
            return []
        paths = {entry.path for entry in self._origin.children(folder)} | set(self._inside.get(folder, ()))
        return [entry for entry in map(self.get, paths) if entry is not None]


def _is_folder(entry: FileEntry | None) -> bool:
    return entry is not None and entry.kind is FileKind.DIRECTORY


def below(origin: Origin, folder: bytes) -> Iterator[FileEntry]:
    """Yield all entries below a folder."""
    waiting = [folder]
    while waiting:
        for entry in origin.children(waiting.pop()):
            yield entry
            if entry.kind is FileKind.DIRECTORY:
                waiting.append(entry.path)
