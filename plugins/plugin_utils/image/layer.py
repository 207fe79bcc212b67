# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one way in which this project writes a layer.

Entries are sorted by their bytes; owners are numbers; times are whole seconds and none is later than the layer's epoch;
names of one file are links to the first of them. So equal entries give equal bytes, on any machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from operator import attrgetter

from .entry import Entry, Kind, fill
from .header import BLOCK, can_be_stamped, header, size_of_header, stamp, stored

#: Bytes of a piece of a layer, in whole blocks, but for the last, and for one with a header that is longer.
PIECE = 2 << 20

#: Bytes that end a layer.
_END = 2 * BLOCK


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
        self._entries = linked(sorted(entries, key=attrgetter("path")))
        self._epoch = epoch
        self._stamps = can_be_stamped(epoch)
        self._reading = reading
        #: Bytes of the layer; nothing has been read to know it.
        self.size = sum(map(self._size, self._entries)) + _END
        #: ``sha256:…`` of the layer.
        self.digest = ""
        #: ``sha256:…`` of the layer as it is with 1970 for every time that the epoch gives.
        self.content = ""

    def __len__(self) -> int:
        return len(self._entries)

    def pieces(self) -> Generator[memoryview, None, None]:
        """Write the layer, in pieces of :data:`PIECE` bytes.

        Whoever reads does all of it. With threads for the digests, where an engine takes the pieces on the same two
        cores, it was 1.0 s instead of 0.8 s for 200 MB in 10,000 files.

        Raises:
            SealError: A file is not what it was when its entry was made.
        """
        whole, content = hashlib.sha256(), hashlib.sha256()
        put_time = stamp(self._epoch)
        before = None
        with self._reading():
            for piece, late in self._filled():
                if before is not None:
                    yield before
                content.update(piece)
                for place in late:
                    put_time(piece, place)
                whole.update(piece)
                before = piece
        self.digest = "sha256:" + whole.hexdigest()
        self.content = "sha256:" + content.hexdigest()
        if before is not None:
            yield before  # when nothing is left to be read, however long somebody takes to take it

    def _filled(self) -> Iterator[tuple[memoryview, list[int]]]:
        """Yield each piece, and where in it headers still lack the epoch's time."""
        piece, end = _empty(), 0
        late: list[int] = []
        for entry in self._entries:
            is_late = self._is_late(entry)
            head = header(entry, 0 if is_late else min(entry.mtime, self._epoch))
            if end + len(head) > len(piece):
                if end:
                    yield piece[:end], late
                piece, end, late = _empty(len(head)), 0, []
            piece[end : end + len(head)] = head
            end += len(head)
            if is_late:
                late.append(end - BLOCK)
            size, done = stored(entry), 0
            while done < size:
                if end == len(piece):
                    yield piece, late
                    piece, end, late = _empty(), 0, []
                part = piece[end : end + size - done]
                fill(part, entry, done)
                done += len(part)
                end += len(part)
            end += -size % BLOCK  # a piece has whole blocks, so there is room
        if end + _END > len(piece):
            yield piece[:end], late
            piece, end, late = _empty(), 0, []
        yield piece[: end + _END], late

    def _size(self, entry: Entry) -> int:
        mtime = 0 if self._is_late(entry) else min(entry.mtime, self._epoch)
        size = stored(entry)
        return size_of_header(entry, mtime) + size + -size % BLOCK

    def _is_late(self, entry: Entry) -> bool:
        """Say whether an entry gets the epoch's time, and gets it when its header has been written."""
        return entry.mtime >= self._epoch and self._stamps


def _empty(least: int = 0) -> memoryview:
    return memoryview(bytearray(max(PIECE, least)))


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


def _link(entry: Entry, target: bytes) -> Entry:
    return Entry(entry.path, Kind.LINK, entry.mode, entry.uid, entry.gid, entry.mtime, target=target)
