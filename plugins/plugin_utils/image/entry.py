# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One path of a root file system, wherever it was read from.

Paths are bytes, relative to the root and without a slash at either end: file names are bytes, and need not be text.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from ..errors import SealError

#: Bytes that are read at once.
CHUNK = 1 << 20

#: How a layer says that the parent's file of that name is gone (OCI image specification, ``layer.md``).
WHITEOUT = b".wh."

#: Extended attributes that a layer carries: file capabilities and access control lists. All others belong to the
#: machine that a file lies on (labels of SELinux, the overlay's own marks).
KEPT_ATTRIBUTES = frozenset({b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"})


class Kind(Enum):
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
class Entry:
    """One path and all that a layer says of it."""

    path: bytes
    kind: Kind
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
class Change:
    """A path before and after the build; at least one of both is there."""

    now: Entry | None
    before: Entry | None


def same(one: Entry, other: Entry) -> bool:
    """Say whether two entries are the same in all but their times and the number of their names."""
    if _properties(one) != _properties(other):
        return False
    return one.kind is not Kind.FILE or one.size == 0 or digest(one) == digest(other)


def digest(entry: Entry) -> bytes:
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


def pieces(entry: Entry) -> Iterator[bytearray]:
    """Read a file's content.

    Raises:
        SealError: The file has another size than was told, or cannot be read.
    """
    for start in range(0, entry.size, CHUNK):
        piece = bytearray(min(entry.size - start, CHUNK))
        fill(memoryview(piece), entry, start)
        yield piece


def fill(part: memoryview, entry: Entry, start: int) -> None:
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


def _properties(entry: Entry) -> tuple[object, ...]:
    size = entry.size if entry.kind is Kind.FILE else 0
    return (entry.kind, entry.mode, entry.uid, entry.gid, size, entry.target, entry.device, entry.attributes)
