# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adapters for content in chunks: read it like a file, or produce it ahead in a thread."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import IO, cast


class ChunkReader:
    """Reads from an iterator of byte strings."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; returns no bytes at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = chunk
        chunk, self._rest = self._rest[:size], self._rest[size:]
        return chunk


_BUFFER = 1 << 20

#: One chunk. Its content must not change later.
Piece = bytes | memoryview

#: Number of chunks that are produced before they are needed.
_AHEAD = 4


def reader(chunks: Iterable[bytes]) -> IO[bytes]:
    """Make a file object from chunks. It can be read once, from its beginning."""
    return cast("IO[bytes]", io.BufferedReader(_RawChunks(iter(chunks)), _BUFFER))


def ahead(chunks: Generator[Piece, None, None]) -> Iterator[Piece]:
    """Produce chunks in a thread, a few before they are needed. Then a slow consumer does not delay the producer.

    Errors in the thread are raised here.
    """
    with closing(chunks), ThreadPoolExecutor(1) as background:
        pending: deque[Future[Piece | None]] = deque(background.submit(next, chunks, None) for _chunk in range(_AHEAD))
        while (chunk := pending.popleft().result()) is not None:
            pending.append(background.submit(next, chunks, None))
            yield chunk


class _RawChunks(io.RawIOBase):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
