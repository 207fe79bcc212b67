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
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

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

    def __init__(self, entries: Iterable[Entry], epoch: int) -> None:
        """Take the entries in any order, and the latest time, in seconds since 1970, that one of them may have."""
        self._entries = linked(sorted(entries, key=lambda entry: entry.path))
        self._epoch = epoch
        #: Bytes of the layer; nothing has been read to know it.
        self.size = sum(len(header(each, epoch)) + _padded(_stored(each)) for each in self._entries) + len(_END)
        #: ``sha256:…`` of the layer.
        self.digest = ""
        #: ``sha256:…`` of what the entries hold. Times that the epoch clamped are left out of it.
        self.content = ""

    def __len__(self) -> int:
        return len(self._entries)

    def pieces(self) -> Iterator[bytes]:
        """Write the layer, in pieces of about a megabyte.

        Raises:
            SealError: A file is not what it was when its entry was made.
        """
        whole, content = hashlib.sha256(), hashlib.sha256()
        with ThreadPoolExecutor(1) as beside:  # one of two digests; hashing large pieces needs no interpreter lock
            hashed: Future[None] | None = None
            for piece in self._gathered(content):
                if hashed is not None:
                    hashed.result()
                hashed = beside.submit(whole.update, piece)
                yield piece
        self.digest = "sha256:" + whole.hexdigest()
        self.content = "sha256:" + content.hexdigest()

    def _gathered(self, content: hashlib._Hash) -> Iterator[bytes]:
        gathered = bytearray()
        for entry in self._entries:
            head = header(entry, self._epoch)
            gathered += head
            content.update(head if entry.mtime < self._epoch else header(entry, 0))
            if _stored(entry):
                for piece in pieces(entry):
                    content.update(piece)
                    if len(piece) == CHUNK:  # large enough to go on its own, without being copied
                        yield bytes(gathered)
                        yield piece
                        gathered.clear()
                        continue
                    gathered += piece
                    if len(gathered) >= CHUNK:
                        yield bytes(gathered)
                        gathered.clear()
                gathered += bytes(-entry.size % _BLOCK)
        gathered += _END
        yield bytes(gathered)


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
    name = entry.path + b"/" if entry.kind is Kind.DIRECTORY else entry.path
    mtime = min(entry.mtime, epoch)
    records: dict[bytes, bytes] = {b"SCHILY.xattr." + key: value for key, value in entry.attributes}
    if len(name) > _NAME_FIELD:
        records[b"path"] = name
    if len(entry.target) > _NAME_FIELD:
        records[b"linkpath"] = entry.target
    numbers = {b"uid": entry.uid, b"gid": entry.gid, b"size": _stored(entry), b"mtime": mtime}
    for key, number in numbers.items():
        largest = _LARGEST_SHORT if key in {b"uid", b"gid"} else _LARGEST_LONG
        if not 0 <= number <= largest:
            records[key] = b"%d" % number
            numbers[key] = 0
    fixed = _ustar(
        name[:_NAME_FIELD],
        entry.kind.value,
        mode=entry.mode,
        owner=(numbers[b"uid"], numbers[b"gid"]),
        size=numbers[b"size"],
        mtime=numbers[b"mtime"],
        target=entry.target[:_NAME_FIELD],
        device=entry.device,
    )
    return _pax(records) + fixed if records else fixed


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
    checksum = sum(start) + sum(end) + _CHECKSUM * ord(" ")
    return b"%s%06o\0 %s" % (start, checksum, end)
