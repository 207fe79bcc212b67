# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one way in which this project writes a layer.

Entries are sorted by their bytes; owners are numbers; times are whole seconds and none is later than the layer's epoch;
names of one file are links to the first of them. What a ustar header cannot hold stands in a pax header, which has no
times and no names of its own, and nothing else does (POSIX.1-2017, ``pax``; file capabilities and access control lists
as ``SCHILY.xattr``, as all engines write and read them). So equal entries give equal bytes, on any machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from zlib import adler32

from .entry import CHUNK, Entry, Kind, pieces

_BLOCK = 512
_END = bytes(2 * _BLOCK)
_NAME_FIELD = 100
_CHECKSUM = 8
_PAX = b"x"
_PAX_NAME = b"././@PaxHeader"

#: Largest numbers that ustar's fields of 8 and 12 bytes hold.
_LARGEST_SHORT = 0o7777777
_LARGEST_LONG = 0o77777777777


class Layer:
    """A layer that can be read any number of times.

    Reading it gives :attr:`digest` and :attr:`content`, which are empty before.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        epoch: int,
        reading: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Take what the layer is made of.

        Args:
            entries: In any order.
            epoch: The latest time, in seconds since 1970, that one of them may have.
            reading: Makes what each reading is done within.
        """
        self._entries = linked(sorted(entries, key=lambda entry: entry.path))
        self._epoch = epoch
        self._reading = reading
        #: Bytes of the layer; nothing has been read to know it.
        self.size = sum(_header_size(each, epoch) + _padded(_stored(each)) for each in self._entries) + len(_END)
        #: ``sha256:…`` of the layer.
        self.digest = ""
        #: ``sha256:…`` of what the entries hold. Times that the epoch clamped are left out of it.
        self.content = ""

    def __len__(self) -> int:
        return len(self._entries)

    def pieces(self) -> Generator[bytes, None, None]:
        """Write the layer, in pieces of about a megabyte.

        Raises:
            SealError: A file is not what it was when its entry was made.
        """
        whole, content = hashlib.sha256(), hashlib.sha256()
        piece = b""
        with self._reading(), ThreadPoolExecutor(2) as beside:  # hashing large pieces needs no interpreter lock
            hashing: list[Future[None]] = []
            for parts, held in self._gathered():
                if piece:
                    yield piece
                piece = b"".join(parts)
                for each in hashing:
                    each.result()
                hashing = [beside.submit(whole.update, piece), beside.submit(_update, content, held)]
        self.digest = "sha256:" + whole.hexdigest()
        self.content = "sha256:" + content.hexdigest()
        yield piece  # the last, when nothing is left to be read, however long somebody takes to take it

    def _gathered(self) -> Iterator[tuple[list[bytes], list[bytes]]]:
        """Yield about a megabyte of the layer each time, and what its digest of content is made of."""
        parts: list[bytes] = []
        held: list[bytes] = []
        gathered = 0
        for entry in self._entries:
            if gathered >= CHUNK:
                yield parts, held
                parts, held, gathered = [], [], 0
            head = header(entry, self._epoch)
            parts.append(head)
            held.append(head if entry.mtime < self._epoch else header(entry, 0))
            gathered += len(head)
            if _stored(entry):
                for piece in pieces(entry):
                    parts.append(piece)
                    held.append(piece)
                    gathered += len(piece)
                    if gathered >= CHUNK:
                        yield parts, held
                        parts, held, gathered = [], [], 0
                parts.append(bytes(-entry.size % _BLOCK))
        yield [*parts, _END], held


def _update(digest: hashlib._Hash, parts: list[bytes]) -> None:
    digest.update(b"".join(parts))


def linked(entries: Iterable[Entry]) -> list[Entry]:
    """Make every further name of a file a link to its first."""
    first: dict[object, bytes] = {}
    found = []
    for entry in entries:
        if entry.inode is not None and first.setdefault(entry.inode, entry.path) != entry.path:
            found.append(_link(entry, first[entry.inode]))
        else:
            found.append(entry)
    return found


def header(entry: Entry, epoch: int) -> bytes:
    """Write an entry's header, with a pax header before it where one is needed."""
    name, mtime = _name(entry), min(entry.mtime, epoch)
    records = _records(entry, name, mtime)
    fixed = _ustar(
        name[:_NAME_FIELD],
        entry.kind.value,
        mode=entry.mode,
        owner=(0 if b"uid" in records else entry.uid, 0 if b"gid" in records else entry.gid),
        size=0 if b"size" in records else _stored(entry),
        mtime=0 if b"mtime" in records else mtime,
        target=entry.target[:_NAME_FIELD],
        device=entry.device,
    )
    return _pax(records) + fixed if records else fixed


def _header_size(entry: Entry, epoch: int) -> int:
    records = _records(entry, _name(entry), min(entry.mtime, epoch))
    return len(_pax(records)) + _BLOCK if records else _BLOCK


def _name(entry: Entry) -> bytes:
    return entry.path + b"/" if entry.kind is Kind.DIRECTORY else entry.path


def _records(entry: Entry, name: bytes, mtime: int) -> dict[bytes, bytes]:
    """Give what a ustar header of these cannot hold."""
    records = {b"SCHILY.xattr." + key: value for key, value in entry.attributes} if entry.attributes else {}
    if len(name) > _NAME_FIELD:
        records[b"path"] = name
    if len(entry.target) > _NAME_FIELD:
        records[b"linkpath"] = entry.target
    if not 0 <= entry.uid <= _LARGEST_SHORT:
        records[b"uid"] = b"%d" % entry.uid
    if not 0 <= entry.gid <= _LARGEST_SHORT:
        records[b"gid"] = b"%d" % entry.gid
    if _stored(entry) > _LARGEST_LONG:
        records[b"size"] = b"%d" % entry.size
    if not 0 <= mtime <= _LARGEST_LONG:
        records[b"mtime"] = b"%d" % mtime
    return records


def _link(entry: Entry, target: bytes) -> Entry:
    return Entry(entry.path, Kind.LINK, entry.mode, entry.uid, entry.gid, entry.mtime, target=target)


def _stored(entry: Entry) -> int:
    return entry.size if entry.kind is Kind.FILE else 0


def _padded(size: int) -> int:
    return size + -size % _BLOCK


def _pax(records: dict[bytes, bytes]) -> bytes:
    content = b"".join(_record(key, records[key]) for key in sorted(records))
    return _ustar(_PAX_NAME, _PAX, size=len(content)) + content + bytes(-len(content) % _BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """``length key=value`` and a line's end; the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _ustar(
    name: bytes,
    kind: bytes,
    *,
    mode: int = 0o644,
    owner: tuple[int, int] = (0, 0),
    size: int = 0,
    mtime: int = 0,
    target: bytes = b"",
    device: tuple[int, int] = (0, 0),
) -> bytes:
    start = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(_NAME_FIELD, b"\0"), mode, *owner, size, mtime)
    rest = b"%s%sustar\x0000%s%07o\0%07o\0" % (kind, target.ljust(_NAME_FIELD, b"\0"), bytes(64), *device)
    end = rest.ljust(_BLOCK - len(start) - _CHECKSUM, b"\0")
    # The low half of Adler-32 is one more than the sum of all bytes, modulo a number that no header's sum reaches.
    checksum = (adler32(end, adler32(start)) & 0xFFFF) - 1 + _CHECKSUM * ord(" ")
    return b"%s%06o\0 %s" % (start, checksum, end)
