# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bytes that come in chunks: as a file, read ahead.

Bytes that come in pieces of any size, to be read in pieces of a wanted one.

Content in pieces: what an engine sends as a file to read, and what an engine is sent read ahead.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import IO, cast


class Pieces:
    """An iterator of byte strings as something to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; none at the end."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = piece
        piece, self._left = self._left[:size], self._left[size:]
        return piece


_BUFFER = 1 << 20

#: One of them; it is not changed any more.
Piece = bytes | memoryview

#: Pieces that are read before anybody takes them.
_AHEAD = 4


def reader(pieces: Iterable[bytes]) -> IO[bytes]:
    """Make a file out of pieces; it is read once, from its beginning."""
    return cast("IO[bytes]", io.BufferedReader(_Pieces(iter(pieces)), _BUFFER))


def ahead(pieces: Generator[Piece, None, None]) -> Iterator[Piece]:
    """Read pieces in a thread of their own, a few before they are taken, so that who takes them slowly holds up nobody.

    What is raised in the thread is raised here.
    """
    with closing(pieces), ThreadPoolExecutor(1) as beside:
        read: deque[Future[Piece | None]] = deque(beside.submit(next, pieces, None) for _piece in range(_AHEAD))
        while (piece := read.popleft().result()) is not None:
            read.append(beside.submit(next, pieces, None))
            yield piece


class _Pieces(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
