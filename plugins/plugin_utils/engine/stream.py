# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stream of a command that runs in a container.

The engine multiplexes standard output and error in frames of an 8-byte header and a payload ("Stream format" of
``POST /containers/{id}/attach`` in the Engine API); standard input goes the other way on the same connection, and
its end is told by closing our half.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import TooMuchOutputError

_HEADER = struct.Struct(">BxxxL")

#: Numbers of the streams.
STDOUT, STDERR = 1, 2


@dataclass(frozen=True, slots=True)
class Started:
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
