# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stream of a command in a container: its format, and a socket for it.

The engine multiplexes standard output and error in frames of an 8-byte header and a payload ("Stream format" of
``POST /containers/{id}/attach`` in the Engine API). Standard input is sent over the same connection; its end is sent by
closing our side.

For a local or ``tcp://`` engine, the stream is a socket. Over ``ssh://``, the SDK returns a channel of paramiko. Over
TLS, the system does not know which data is ready to be read. For both, threads copy the data to and from a local socket
pair.
"""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from ..errors import TooMuchOutputError

_HEADER = struct.Struct(">BxxxL")

#: Numbers of the streams.
STDOUT, STDERR = 1, 2


class StartedCommand(msgspec.Struct, frozen=True):
    """A command that was started in a container."""

    #: The stream of the engine: input is sent unchanged, output arrives in frames (:class:`Frames`).
    socket: socket.socket
    #: Output that was read already: it may arrive together with the header of the response.
    ahead: bytes
    #: Whether closing our side of the socket ends the input of the command.
    can_end_input: bool
    #: Returns the exit status after the end of the stream; ``None`` if the engine does not know it.
    status: Callable[[], int | None]


def read_buffered(reader: Any, sock: socket.socket) -> bytes:
    """Read the buffered bytes of a socket without waiting for more.

    Args:
        reader: A ``BufferedReader`` of the socket.
        sock: The socket. It is in blocking mode afterwards.
    """
    sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    try:
        return bytes(reader.read1(len(reader.peek(1)) or 1) or b"")
    except (BlockingIOError, ssl.SSLError):
        return b""
    finally:
        sock.settimeout(None)


#: Maximum output of one command in bytes, both streams together, if it is kept in memory.
MAX_OUTPUT = 64 << 20


@dataclass
class Output:
    """The output of a command, in memory."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def take(self, stream: int, data: bytes) -> None:
        """Add ``data``; ``stream`` is 1 for standard output, 2 for standard error.

        Raises:
            TooMuchOutputError: The total is larger than :data:`MAX_OUTPUT`.
        """
        if len(self.stdout) + len(self.stderr) + len(data) > MAX_OUTPUT:
            raise TooMuchOutputError(
                f"a command in a container wrote more than {MAX_OUTPUT >> 20} MiB to its standard output and error, "
                "which is the limit; let it write to a file, or write less"
            )
        (self.stdout if stream == STDOUT else self.stderr).extend(data)


class Frames:
    """Splits the stream of the engine into the streams of the command. Frames may be cut anywhere."""

    def __init__(self, take: Callable[[int, bytes], None]) -> None:
        self._take = take
        self._header = bytearray()
        self._stream = STDOUT
        self._rest = 0  # bytes of the current frame that have not arrived yet

    def feed(self, data: bytes) -> None:
        """Process the next chunk."""
        while data:
            if self._rest == 0:
                need = _HEADER.size - len(self._header)
                self._header += data[:need]
                data = data[need:]
                if len(self._header) == _HEADER.size:
                    self._stream, self._rest = _HEADER.unpack(self._header)
                    self._header.clear()
                continue
            self._take(self._stream, data[: self._rest])
            size = min(self._rest, len(data))
            self._rest -= size
            data = data[size:]


_T = TypeVar("_T")

_CHUNK = 1 << 16


class Stream(Protocol):
    """What the SDK may return in place of a socket."""

    def recv(self, size: int) -> bytes:
        """Wait for a chunk; empty at the end."""

    def sendall(self, data: bytes) -> None:
        """Send a whole chunk."""

    def shutdown_write(self) -> None:
        """Send the end of the input."""


def as_socket(stream: Any) -> socket.socket:
    """Return the socket of a stream of the SDK, or a local socket that is connected to it by threads.

    Args:
        stream: The result of ``exec_start(socket=True)``.
    """
    inner = getattr(stream, "_sock", stream)
    if isinstance(inner, ssl.SSLSocket):
        return _bridge(_Tls(inner))
    return inner if isinstance(inner, socket.socket) else _bridge(inner)


def read_ahead(stream: Any) -> bytes:
    """Read the bytes that the SDK has buffered already. Call it before :func:`as_socket`.

    They arrived together with the header of the response (measured: for one of twenty short commands over TCP).
    """
    reader: Any = getattr(getattr(getattr(getattr(stream, "_response", None), "raw", None), "_fp", None), "fp", None)
    if hasattr(reader, "_rbuffer"):  # of paramiko
        return bytes(reader._rbuffer)  # noqa: SLF001 - paramiko has no public way
    sock = getattr(stream, "_sock", stream)
    if isinstance(reader, io.BufferedReader) and isinstance(sock, socket.socket):
        return read_buffered(reader, sock)
    return b""


def can_end_input(stream: Any) -> bool:
    """Say whether the input of a command can be ended without ending its output. TLS cannot do this."""
    return not isinstance(getattr(stream, "_sock", stream), ssl.SSLSocket)


def _bridge(stream: Stream) -> socket.socket:
    near, far = socket.socketpair()

    def send() -> None:
        while data := far.recv(_CHUNK):
            stream.sendall(data)
        stream.shutdown_write()

    def receive() -> None:
        try:
            while data := stream.recv(_CHUNK):
                far.sendall(data)
        finally:
            with contextlib.suppress(OSError):
                far.shutdown(socket.SHUT_WR)
            sender.join()
            far.close()

    sender = threading.Thread(target=_ignore_end(send), daemon=True)
    sender.start()
    threading.Thread(target=_ignore_end(receive), daemon=True).start()
    return near


def _ignore_end(copy: Callable[[], None]) -> Callable[[], None]:
    """Make a thread ignore that one side was closed: the other side notices it."""

    def run() -> None:
        with contextlib.suppress(OSError, EOFError, ValueError):  # a closed descriptor is -1
            copy()

    return run


class _Tls:
    """A TLS connection that two threads may use: OpenSSL allows only one thread at a time."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock
        self._sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        self._lock = threading.Lock()

    def recv(self, size: int) -> bytes:
        return self._when_ready(lambda: self._sock.recv(size))

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._when_ready(lambda: self._sock.send(rest)) :]  # noqa: B023 - called at once

    def shutdown_write(self) -> None:
        """Do nothing: over TLS, the input ends only when the connection is closed."""

    def _when_ready(self, call: Callable[[], _T]) -> _T:
        while True:
            try:
                with self._lock:
                    return call()
            except ssl.SSLWantReadError:
                select.select([self._sock], [], [])
            except ssl.SSLWantWriteError:
                select.select([], [self._sock], [])
