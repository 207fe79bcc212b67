# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine sends in pieces, as a file to read."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import IO, cast

_BUFFER = 1 << 20


def reader(pieces: Iterable[bytes]) -> IO[bytes]:
    """Make a file out of pieces; it is read once, from its beginning."""
    return cast("IO[bytes]", io.BufferedReader(_Pieces(iter(pieces)), _BUFFER))


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
