# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A command's streams, framed, and as a socket that can be waited for.

The stream of a command that runs in a container.

The engine multiplexes standard output and error in frames of an 8-byte header and a payload ("Stream format" of
``POST /containers/{id}/attach`` in the Engine API); standard input goes the other way on the same connection, and
its end is told by closing our half.

A command's stream as a socket that can be waited for, whatever the engine is reached through.

A local or ``tcp://`` engine's stream is one. Over ``ssh://`` the SDK has a channel of paramiko's, and over TLS what is
ready to be read is not what the system says is; both are carried by threads to a socket of our own.
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

from ..errors import TooMuchOutputError

_HEADER = struct.Struct(">BxxxL")

#: Numbers of the streams.
STDOUT, STDERR = 1, 2


@dataclass(frozen=True, slots=True)
class StartedCommand:
    """A command that runs in a container."""

    #: The engine's stream: input goes in as it is, output comes out in :class:`Frames`.
    socket: socket.socket
    #: What of the output was read already: it may come in one piece with the head of the engine's answer.
    ahead: bytes
    #: Whether closing our half of the socket tells the command that its input has ended.
    can_tell_the_end: bool
    #: Says the exit status once the stream has ended; ``None`` where the engine has lost track of the command.
    status: Callable[[], int | None]


def buffered(above: Any, sock: socket.socket) -> bytes:
    """Take what lies in the buffer above a socket, without waiting for more.

    Args:
        above: A ``BufferedReader`` of the socket's.
        sock: The socket; it blocks afterwards.
    """
    sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    try:
        return bytes(above.read1(len(above.peek(1)) or 1) or b"")
    except (BlockingIOError, ssl.SSLError):
        return b""
    finally:
        sock.settimeout(None)


#: Bytes that one command may write to both streams together where they are kept in memory.
MOST_OUTPUT = 64 << 20


@dataclass
class Output:
    """What a command wrote, for callers that want it in memory."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def take(self, stream: int, data: bytes) -> None:
        """Keep ``data``; ``stream`` is 1 for standard output, 2 for standard error.

        Raises:
            TooMuchOutputError: It is more than :data:`MOST_OUTPUT` in all.
        """
        if len(self.stdout) + len(self.stderr) + len(data) > MOST_OUTPUT:
            raise TooMuchOutputError(
                f"a command in a container wrote more than {MOST_OUTPUT >> 20} MiB to its standard output and error, "
                "which is as much as is taken from one; let it write to a file, or write less"
            )
        (self.stdout if stream == STDOUT else self.stderr).extend(data)


class Frames:
    """Takes the engine's stream apart into those of the command, however the pieces fall."""

    def __init__(self, take: Callable[[int, bytes], None]) -> None:
        self._take = take
        self._header = bytearray()
        self._stream = STDOUT
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        while data:
            if self._left == 0:
                need = _HEADER.size - len(self._header)
                self._header += data[:need]
                data = data[need:]
                if len(self._header) == _HEADER.size:
                    self._stream, self._left = _HEADER.unpack(self._header)
                    self._header.clear()
                continue
            self._take(self._stream, data[: self._left])
            taken = min(self._left, len(data))
            self._left -= taken
            data = data[taken:]


_T = TypeVar("_T")

_CHUNK = 1 << 16


class Stream(Protocol):
    """What the SDK may have instead of a socket."""

    def recv(self, size: int) -> bytes:
        """Wait for a piece; empty at the end."""

    def sendall(self, data: bytes) -> None:
        """Send all of a piece."""

    def shutdown_write(self) -> None:
        """Tell the end of what is sent."""


def bridged(stream: Any) -> socket.socket:
    """Find or make the socket for a stream of the SDK's.

    Args:
        stream: What ``exec_start(socket=True)`` returned.
    """
    inner = getattr(stream, "_sock", stream)
    if isinstance(inner, ssl.SSLSocket):
        return _carried(_Tls(inner))
    return inner if isinstance(inner, socket.socket) else _carried(inner)


def read_ahead(stream: Any) -> bytes:
    """Take what lies in a buffer of the SDK's above the stream, before :func:`bridged`.

    It got there in one piece with the head of the engine's answer (measured: one short command of twenty over TCP).
    """
    above: Any = getattr(getattr(getattr(getattr(stream, "_response", None), "raw", None), "_fp", None), "fp", None)
    if hasattr(above, "_rbuffer"):  # paramiko's
        return bytes(above._rbuffer)  # noqa: SLF001 - it has no other way
    sock = getattr(stream, "_sock", stream)
    return buffered(above, sock) if isinstance(above, io.BufferedReader) and isinstance(sock, socket.socket) else b""


def can_tell_the_end(stream: Any) -> bool:
    """Say whether the end of a command's input can be told without ending its output: TLS has no such thing."""
    return not isinstance(getattr(stream, "_sock", stream), ssl.SSLSocket)


def _carried(stream: Stream) -> socket.socket:
    ours, theirs = socket.socketpair()

    def out() -> None:
        while data := theirs.recv(_CHUNK):
            stream.sendall(data)
        stream.shutdown_write()

    def back() -> None:
        try:
            while data := stream.recv(_CHUNK):
                theirs.sendall(data)
        finally:
            with contextlib.suppress(OSError):
                theirs.shutdown(socket.SHUT_WR)
            outward.join()
            theirs.close()

    outward = threading.Thread(target=_quietly(out), daemon=True)
    outward.start()
    threading.Thread(target=_quietly(back), daemon=True).start()
    return ours


def _quietly(carry: Callable[[], None]) -> Callable[[], None]:
    """The end of either side is no error of a thread's: the other side sees it."""

    def run() -> None:
        with contextlib.suppress(OSError, EOFError, ValueError):  # a closed descriptor is -1
            carry()

    return run


class _Tls:
    """A TLS connection for two threads: OpenSSL lets only one of them in at a time."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock
        self._sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        self._lock = threading.Lock()

    def recv(self, size: int) -> bytes:
        return self._when_ready(lambda: self._sock.recv(size))

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._when_ready(lambda: self._sock.send(left)) :]  # noqa: B023 - called at once

    def shutdown_write(self) -> None:
        """Nothing: whoever wants the command to see an end closes the connection."""

    def _when_ready(self, call: Callable[[], _T]) -> _T:
        while True:
            try:
                with self._lock:
                    return call()
            except ssl.SSLWantReadError:
                select.select([self._sock], [], [])
            except ssl.SSLWantWriteError:
                select.select([], [self._sock], [])
