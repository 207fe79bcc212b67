# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The protocol between controller and agent: frames that say which command they belong to.

A frame is a header (channel, kind and length of the payload, in network byte order) and the payload. A command is a
channel: it is opened with what to run, fed with its standard input, and answers with its streams and its end. Over a
socket of its own a command has channel 0; over one stream for all, each has another number.
"""

from __future__ import annotations

import struct
from typing import Callable

HEADER = struct.Struct("!IBI")

#: Largest payload that is accepted; bounds what a peer buffers. A request is as long as its command line.
LARGEST = 1 << 20

#: Bytes of a stream that are sent at once, so that one command does not hold up the others.
PIECE = 1 << 17

#: Controller to agent: a request as JSON; a piece of standard input, empty at its end; the answer is not wanted.
OPEN, STDIN, ABORT = 1, 2, 3
#: Agent to controller: a piece of each stream; a line for the log; the end as JSON.
STDOUT, STDERR, NOTE, EXIT = 4, 5, 6, 7
#: Agent to controller, once, on channel 0: it is listening. JSON.
READY = 8
#: Controller to agent, on channel 0: end.
END = 9

Take = Callable[[int, int, bytes], None]


class ProtocolError(Exception):
    """The other side sent what is no frame."""


def encode(channel: int, kind: int, payload: bytes = b"") -> bytes:
    """Write one frame."""
    return HEADER.pack(channel, kind, len(payload)) + payload


class Decoder:
    """Takes a stream apart into frames, however its pieces fall."""

    def __init__(self, take: Take) -> None:
        """Call ``take(channel, kind, payload)`` for each frame."""
        self._take = take
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            ProtocolError: A frame is larger than any that this protocol has.
        """
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            channel, kind, length = HEADER.unpack_from(self._buffer, start)
            if length > LARGEST:
                raise ProtocolError(f"a frame of {length} bytes; at most {LARGEST} are allowed")
            end = start + HEADER.size + length
            if len(self._buffer) < end:
                break
            payload = bytes(self._buffer[start + HEADER.size : end])
            start = end
            self._take(channel, kind, payload)
        del self._buffer[:start]
