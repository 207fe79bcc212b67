# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tar archives from anywhere, read forwards only and as if they were hostile.

Nothing is written to disk. An archive can neither unpack to more than :data:`LARGEST` bytes, nor have more than
:data:`MOST_ENTRIES` entries, nor a header larger than :data:`_LARGEST_PIECE`.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import os
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ..errors import DamagedError, UnsupportedError

#: Most bytes that one archive may unpack to.
LARGEST = 64 << 30
#: Most entries of one archive.
MOST_ENTRIES = 2_000_000

_LARGEST_PIECE = 16 << 20
_CHUNK = 1 << 20
_ENOUGH_TO_TELL = 512

#: In the standard library since 3.14; before, a copy of it.
_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


class Reader(Protocol):
    """Anything with bytes to read, in order."""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; none at the end."""


class Forward:
    """A stream as the file that :mod:`tarfile` wants, counted and digested on the way."""

    def __init__(self, source: Reader, what: str, largest: int = LARGEST) -> None:
        """Read ``source``, which is called ``what`` in messages."""
        self._source, self._what, self._largest = source, what, largest
        self._digest = hashlib.sha256()
        self._ahead = b""
        self._at = 0

    def peek(self) -> bytes:
        """Look at the first bytes without reading them; only at the start."""
        while len(self._ahead) < _ENOUGH_TO_TELL and (piece := self._source.read(_ENOUGH_TO_TELL - len(self._ahead))):
            self._ahead += piece
        return self._ahead

    def read(self, size: int = -1) -> bytes:
        """Read ``size`` bytes, fewer only at the end.

        Raises:
            DamagedError: More than any header has, or more than the archive may have.
        """
        if not 0 <= size <= _LARGEST_PIECE:
            raise DamagedError(f"{self._what} is damaged: it has a header of {size} bytes")
        pieces = []
        while size and (piece := self._piece(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def seek(self, offset: int, _whence: int = os.SEEK_SET) -> int:
        """Go forwards to ``offset``."""
        if offset < self._at:
            raise DamagedError(f"{self._what} is damaged: an entry points backwards")
        while self._at < offset and self._piece(min(_CHUNK, offset - self._at)):
            pass
        return self._at

    def tell(self) -> int:
        """Bytes read so far."""
        return self._at

    def rest(self) -> str:
        """Read to the end, and return the digest of everything."""
        while self._piece(_CHUNK):
            pass
        return "sha256:" + self._digest.hexdigest()

    def _piece(self, size: int) -> bytes:
        piece, self._ahead = self._ahead[:size], self._ahead[size:]
        piece = piece or self._source.read(size)
        self._at += len(piece)
        if self._at > self._largest:
            raise DamagedError(f"{self._what} unpacks to more than {self._largest >> 20} MiB; it is not read further")
        self._digest.update(piece)
        return piece


def unpacked(source: Reader, what: str) -> Reader:
    """Take the compression off a stream, if there is one: gzip or zstd.

    Raises:
        UnsupportedError: It is compressed in another way.
    """
    forward = Forward(source, what)
    start = forward.peek()
    for magic, opener in _OPENERS.items():
        if start.startswith(magic):
            return opener(forward, what)
    return forward


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn what goes wrong while an archive is read into ours.

    Raises:
        DamagedError: The archive is not whole, or is none.
    """
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, gzip.BadGzipFile) as error:
        raise DamagedError(f"{what} is damaged: {str(error) or 'it ends too early'}") from error


def members(forward: Forward, what: str) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """Yield an archive's entries one by one; each is to be read before the next is asked for.

    Raises:
        DamagedError: The archive is damaged, or has too many entries.
    """
    with readable(what), _opened(forward, what) as tar:
        count = 0
        while (member := tar.next()) is not None:
            tar.members.clear()  # tarfile keeps each for ever
            count += 1
            if count > MOST_ENTRIES:
                raise DamagedError(f"{what} has more than {MOST_ENTRIES} entries; it is not read further")
            yield member, tar


def _opened(forward: Forward, what: str) -> Any:
    try:
        return tarfile.open(fileobj=forward, mode="r:", errorlevel=2)  # type: ignore[call-overload]
    except tarfile.TarError as error:
        raise DamagedError(f"{what} is no tar archive, or damaged ({error})") from error


def content(tar: tarfile.TarFile, member: tarfile.TarInfo, what: str) -> Iterator[bytes]:
    """Yield a file's bytes, in pieces.

    Raises:
        DamagedError: The archive ends too early.
    """
    with readable(what):
        file = tar.extractfile(member)
        while file and (piece := file.read(_CHUNK)):
            yield piece


def _gunzip(forward: Forward, _what: str) -> Reader:
    return gzip.GzipFile(fileobj=forward, mode="rb")


class _Zstd:
    """A zstd stream; what is wrong with it is told as for gzip, which :func:`readable` understands."""

    def __init__(self, forward: Forward, _what: str) -> None:
        self._module: Any = importlib.import_module(_ZSTD)
        self._file = self._module.ZstdFile(io.BufferedReader(_Raw(forward)))

    def read(self, size: int, /) -> bytes:
        try:
            piece: bytes = self._file.read(size)
        except self._module.ZstdError as error:
            raise EOFError(str(error)) from error
        return piece


def _not_read(name: str) -> Callable[[Forward, str], Reader]:
    def refuse(_forward: Forward, what: str) -> Reader:
        raise UnsupportedError(f"{what} is packed with {name}; plain tar, gzip and zstd are read")

    return refuse


class _Raw(io.RawIOBase):
    def __init__(self, forward: Forward) -> None:
        self._forward = forward

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._forward.read(min(len(buffer), _CHUNK))
        buffer[: len(piece)] = piece
        return len(piece)


_OPENERS: dict[bytes, Callable[[Forward, str], Reader]] = {
    b"\x1f\x8b": _gunzip,
    b"\x28\xb5\x2f\xfd": _Zstd,
    b"BZh": _not_read("bzip2"),
    b"\xfd7zXZ\0": _not_read("xz"),
}
