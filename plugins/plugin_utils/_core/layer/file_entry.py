# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One path of a root file system, and the parent's tree of them.

One path of a root file system, wherever it was read from.

Paths are bytes, relative to the root and without a slash at either end: file names are bytes, and need not be text.

What a build container was started from, path by path: the tree that its parent's image has.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from ..errors import SealError

#: Bytes that are read at once.
CHUNK = 1 << 20

#: How a layer says that the parent's file of that name is gone (OCI image specification, ``layer.md``).
WHITEOUT = b".wh."

#: Extended attributes that a layer carries: file capabilities and access control lists. All others belong to the
#: machine that a file lies on (labels of SELinux, the overlay's own marks).
KEPT_ATTRIBUTES = frozenset({b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"})


class FileKind(Enum):
    """What is at a path; the values are tar's type flags."""

    FILE = b"0"
    LINK = b"1"
    SYMLINK = b"2"
    CHARACTER = b"3"
    BLOCK = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"
    #: In no tar archive, and so in no layer.
    SOCKET = b"s"


@dataclass(frozen=True, slots=True)
class Slice:
    """A file's content, as a part of a file on this machine."""

    path: bytes
    offset: int = 0


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One path and all that a layer says of it."""

    path: bytes
    kind: FileKind
    #: Permission bits with setuid, setgid and sticky.
    mode: int
    uid: int
    gid: int
    #: Seconds since 1970.
    mtime: int
    #: Bytes of a file's content.
    size: int = 0
    #: Where a link leads to.
    target: bytes = b""
    #: Major and minor number of a device.
    device: tuple[int, int] = (0, 0)
    #: Extended attributes, sorted.
    attributes: tuple[tuple[bytes, bytes], ...] = ()
    #: A file's content, in a file or in memory.
    content: Slice | bytes = b""
    #: SHA-256 of a file's content where it is known; the content itself may be gone then.
    digest: bytes = b""
    #: The same for all names of one file; ``None`` where there is one name only.
    inode: Hashable = None
    #: Names of other extended attributes that somebody set on it (``user.…``).
    foreign: tuple[bytes, ...] = field(default=(), compare=False)
    #: Nanoseconds since 1970 when the kernel last saw it change; ``None`` where only an export of it is known.
    changed: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PathChange:
    """A path before and after the build; at least one of both is there."""

    now: FileEntry | None
    before: FileEntry | None


def same(one: FileEntry, other: FileEntry) -> bool:
    """Say whether two entries are the same in all but their times and the number of their names."""
    if _properties(one) != _properties(other):
        return False
    return one.kind is not FileKind.FILE or one.size == 0 or digest(one) == digest(other)


def digest(entry: FileEntry) -> bytes:
    """SHA-256 of a file's content.

    Raises:
        SealError: The file has another size than was told, or cannot be read.
    """
    if entry.digest:
        return entry.digest
    made = hashlib.sha256()
    for piece in pieces(entry):
        made.update(piece)
    return made.digest()


def pieces(entry: FileEntry) -> Iterator[bytearray]:
    """Read a file's content.

    Raises:
        SealError: The file has another size than was told, or cannot be read.
    """
    for start in range(0, entry.size, CHUNK):
        piece = bytearray(min(entry.size - start, CHUNK))
        fill(memoryview(piece), entry, start)
        yield piece


def fill(part: memoryview, entry: FileEntry, start: int) -> None:
    """Read as much of a file's content as ``part`` has room for, beginning at ``start``.

    Raises:
        SealError: The file has another size than was told, or cannot be read.
    """
    if isinstance(entry.content, bytes):
        part[:] = entry.content[start : start + len(part)]
        return
    try:
        file = os.open(entry.content.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            place = entry.content.offset + start
            while part:
                count = os.preadv(file, [part], place)
                if not count:
                    raise SealError(f"/{shown(entry.path)} became shorter while it was read; something still writes it")
                place += count
                part = part[count:]
        finally:
            os.close(file)
    except OSError as error:
        raise SealError(f"/{shown(entry.path)} cannot be read: {error.strerror}") from error


def shown(path: bytes) -> str:
    """A path for people: what is no text, or would end the line, is escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def parent(path: bytes) -> bytes:
    """The folder that a path is in; empty for the root."""
    return path.rpartition(b"/")[0]


def _properties(entry: FileEntry) -> tuple[object, ...]:
    size = entry.size if entry.kind is FileKind.FILE else 0
    return (entry.kind, entry.mode, entry.uid, entry.gid, size, entry.target, entry.device, entry.attributes)


class Origin(Protocol):
    """A tree that can be looked at; links are not followed."""

    def look(self, path: bytes) -> FileEntry | None:
        """Give what is at ``path``; ``None`` where nothing is."""

    def listed(self, folder: bytes) -> Iterable[FileEntry]:
        """Give what is directly in ``folder``, in no particular order; nothing where that is no folder."""


class KnownTree:
    """An origin whose entries are all known."""

    def __init__(self, entries: Mapping[bytes, FileEntry]) -> None:
        """Take the entries by path."""
        self._entries = entries
        self._inside: dict[bytes, list[FileEntry]] = {}

    def look(self, path: bytes) -> FileEntry | None:
        """See :class:`Origin`."""
        return self._entries.get(path)

    def listed(self, folder: bytes) -> Iterable[FileEntry]:
        """See :class:`Origin`."""
        if not self._inside:
            for path, entry in self._entries.items():
                self._inside.setdefault(parent(path), []).append(entry)
        return self._inside.get(folder, ())


class Laid:
    """An origin with a layer on it: the tree of the image that it makes."""

    def __init__(self, origin: Origin, layer: Mapping[bytes, FileEntry | None]) -> None:
        """Take the layer's entries by path; ``None`` where it removes one."""
        self._origin, self._layer = origin, layer
        self._inside: dict[bytes, list[bytes]] = {}
        for path in layer:
            self._inside.setdefault(parent(path), []).append(path)

    def look(self, path: bytes) -> FileEntry | None:
        """See :class:`Origin`."""
        if path in self._layer:
            return self._layer[path]
        above = parent(path)
        while above:
            if above in self._layer and not _is_folder(self._layer[above]):
                return None
            above = parent(above)
        return self._origin.look(path)

    def listed(self, folder: bytes) -> Iterable[FileEntry]:
        """See :class:`Origin`."""
        if folder and not _is_folder(self.look(folder)):
            return []
        paths = {entry.path for entry in self._origin.listed(folder)} | set(self._inside.get(folder, ()))
        return [entry for entry in map(self.look, paths) if entry is not None]


def _is_folder(entry: FileEntry | None) -> bool:
    return entry is not None and entry.kind is FileKind.DIRECTORY


def below(origin: Origin, folder: bytes) -> Iterator[FileEntry]:
    """Yield all that is below a folder."""
    waiting = [folder]
    while waiting:
        for entry in origin.listed(waiting.pop()):
            yield entry
            if entry.kind is FileKind.DIRECTORY:
                waiting.append(entry.path)
