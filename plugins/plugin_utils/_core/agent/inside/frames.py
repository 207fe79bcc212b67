# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The protocol between controller and agent: frames.

A frame consists of a header (channel, kind, and length of the payload, in network byte order) and the payload. Each
command has a channel. The controller opens it with a request, and sends standard input. The agent answers with the
output and the end of the command. If a command has its own connection, its channel is 0. If all commands share one
stream, each has a different channel.
"""

from __future__ import annotations

import struct
from typing import Callable

HEADER = struct.Struct("!IBI")

#: Maximum size of a payload in bytes, which limits the buffers. A request is about as long as its command line.
MAX_PAYLOAD = 1 << 20

#: Maximum number of bytes of a stream in one frame. It is small, so that no command delays the others.
PIECE = 1 << 17

#: Controller to agent: a request as JSON; a chunk of standard input (empty at the end); abort the command.
OPEN, STDIN, ABORT = 1, 2, 3
#: Agent to controller: a chunk of standard output; one of standard error; a log line; the end of the command as JSON.
STDOUT, STDERR, NOTE, EXIT = 4, 5, 6, 7
#: Agent to controller, once, on channel 0: the agent is ready. The payload is JSON.
READY = 8
#: Controller to agent, on channel 0: end the agent.
END = 9

Take = Callable[[int, int, bytes], None]


class ProtocolError(Exception):
    """The other side violated the protocol."""


def encode(channel: int, kind: int, payload: bytes = b"") -> bytes:
    """Return the bytes of one frame."""
    return HEADER.pack(channel, kind, len(payload)) + payload


class Decoder:
    """Splits a stream into frames. The chunks of the stream may be cut anywhere."""

    def __init__(self, take: Take) -> None:
        """Call ``take(channel, kind, payload)`` for each frame."""
        self._take = take
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Process the next chunk.

        Raises:
            ProtocolError: A frame is larger than the limit.
        """
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            channel, kind, length = HEADER.unpack_from(self._buffer, start)
            if length > MAX_PAYLOAD:
                raise ProtocolError(f"a frame of {length} bytes; at most {MAX_PAYLOAD} are allowed")
            end = start + HEADER.size + length
            if len(self._buffer) < end:
                break
            payload = bytes(self._buffer[start + HEADER.size : end])
            start = end
            self._take(channel, kind, payload)
        del self._buffer[:start]
