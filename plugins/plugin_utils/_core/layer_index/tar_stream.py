# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads tar archives forwards only, and treats them as hostile.

Nothing is written to disk. An archive is rejected if it unpacks to more than :data:`LARGEST` bytes, has more than
:data:`MAX_ENTRIES` entries, or has a header larger than :data:`_LARGEST_PIECE`.
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

#: Limit for the unpacked size of one archive, in bytes.
LARGEST = 64 << 30
#: Limit for the number of entries in one archive.
MAX_ENTRIES = 2_000_000

_LARGEST_PIECE = 16 << 20
_CHUNK = 1 << 20
_PEEK_SIZE = 512

#: The standard library has it since Python 3.14. Older versions need the backport.
_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


class Reader(Protocol):
    """Any object that bytes can be read from, in order."""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; no bytes mean the end."""


class ForwardStream:
    """A stream that :mod:`tarfile` can read as a file. It counts and digests the bytes that pass through."""

    def __init__(self, source: Reader, what: str, largest: int = LARGEST) -> None:
        """Read at most ``largest`` bytes from ``source``; messages call it ``what``."""
        self._source, self._what, self._largest = source, what, largest
        self._digest = hashlib.sha256()
        self._ahead = b""
        self._at = 0

    def peek(self) -> bytes:
        """Return the first bytes without consuming them. Call it only before the first read."""
        while len(self._ahead) < _PEEK_SIZE and (piece := self._source.read(_PEEK_SIZE - len(self._ahead))):
            self._ahead += piece
        return self._ahead

    def read(self, size: int = -1) -> bytes:
        """Read ``size`` bytes, fewer only at the end.

        Raises:
            DamagedError: ``size`` is larger than any header may be, or the stream exceeds its limit.
        """
        if not 0 <= size <= _LARGEST_PIECE:
            raise DamagedError(f"{self._what} is damaged: it has a header of {size} bytes")
        pieces = []
        while size and (piece := self._piece(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def seek(self, offset: int, _whence: int = os.SEEK_SET) -> int:
        """Skip forwards to ``offset``, counted from the start, or to the end.

        Raises:
            DamagedError: ``offset`` lies before the current position.
        """
        if offset < self._at:
            raise DamagedError(f"{self._what} is damaged: an entry points backwards")
        while self._at < offset and self._piece(min(_CHUNK, offset - self._at)):
            pass
        return self._at

    def tell(self) -> int:
        """Return the number of bytes read so far."""
        return self._at

    def rest(self) -> str:
        """Read to the end, and return the digest of the whole stream: ``sha256:…``."""
        while self._piece(_CHUNK):
            pass
        return "sha256:" + self._digest.hexdigest()

    def _piece(self, size: int) -> bytes:
        piece, self._ahead = self._ahead[:size], self._ahead[size:]
        piece = piece or self._source.read(size)
        self._at += len(piece)
        if self._at > self._largest:
            raise DamagedError(f"{self._what} unpacks to more than {self._largest >> 20} MiB; reading stopped there")
        self._digest.update(piece)
        return piece


def unpacked(source: Reader, what: str) -> Reader:
    """Decompress a stream that is compressed with gzip or zstd; return any other stream as it is.

    Raises:
        UnsupportedError: The stream is compressed with bzip2 or xz.
    """
    stream = ForwardStream(source, what)
    start = stream.peek()
    for magic, opener in _OPENERS.items():
        if start.startswith(magic):
            return opener(stream, what)
    return stream


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Convert errors from reading an archive.

    Raises:
        DamagedError: The archive is incomplete, or is not an archive.
    """
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, gzip.BadGzipFile) as error:
        raise DamagedError(f"{what} is damaged: {str(error) or 'it ends too early'}") from error


def members(stream: ForwardStream, what: str) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """Yield the entries of an archive one by one. Read an entry's content before you take the next entry.

    Raises:
        DamagedError: The archive is damaged, or has too many entries.
    """
    with readable(what), _open(stream, what) as tar:
        count = 0
        while (member := tar.next()) is not None:
            tar.members.clear()  # otherwise tarfile keeps all entries in memory
            count += 1
            if count > MAX_ENTRIES:
                raise DamagedError(f"{what} has more than {MAX_ENTRIES} entries; reading stopped there")
            yield member, tar


def _open(stream: ForwardStream, what: str) -> Any:
    try:
        return tarfile.open(fileobj=stream, mode="r:", errorlevel=2)  # type: ignore[call-overload]
    except tarfile.TarError as error:
        raise DamagedError(f"{what} is not a tar archive, or it is damaged ({error})") from error


def content(tar: tarfile.TarFile, member: tarfile.TarInfo, what: str) -> Iterator[bytes]:
    """Yield the content of a file in pieces.

    Raises:
        DamagedError: The archive ends too early.
    """
    with readable(what):
        file = tar.extractfile(member)
        while file and (piece := file.read(_CHUNK)):
            yield piece


def _gunzip(stream: ForwardStream, _what: str) -> Reader:
    return gzip.GzipFile(fileobj=stream, mode="rb")


class _Zstd:
    """A zstd stream. It raises :class:`EOFError` for damaged data, which :func:`readable` converts."""

    def __init__(self, stream: ForwardStream, _what: str) -> None:
        self._module: Any = importlib.import_module(_ZSTD)
        self._file = self._module.ZstdFile(io.BufferedReader(_Raw(stream)))

    def read(self, size: int, /) -> bytes:
        try:
            piece: bytes = self._file.read(size)
        except self._module.ZstdError as error:
            raise EOFError(str(error)) from error
        return piece


def _rejects(name: str) -> Callable[[ForwardStream, str], Reader]:
    def reject(_stream: ForwardStream, what: str) -> Reader:
        raise UnsupportedError(f"{what} is compressed with {name}; expected plain tar, gzip or zstd")

    return reject


class _Raw(io.RawIOBase):
    """A stream as a raw file, which :class:`io.BufferedReader` needs."""

    def __init__(self, stream: ForwardStream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(min(len(buffer), _CHUNK))
        buffer[: len(piece)] = piece
        return len(piece)


_OPENERS: dict[bytes, Callable[[ForwardStream, str], Reader]] = {
    b"\x1f\x8b": _gunzip,
    b"\x28\xb5\x2f\xfd": _Zstd,
    b"BZh": _rejects("bzip2"),
    b"\xfd7zXZ\0": _rejects("xz"),
}
