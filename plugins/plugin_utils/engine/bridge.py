# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A command's stream as a socket that can be waited for, whatever the engine is reached through.

A local or ``tcp://`` engine's stream is one. Over ``ssh://`` the SDK has a channel of paramiko's, and over TLS what is
ready to be read is not what the system says is; both are carried by threads to a socket of our own.
"""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from .stream import buffered

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
