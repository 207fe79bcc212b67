# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The protocol between a sandbox and its broker: messages in the frames of :mod:`...agent.inside.frames`.

A message is larger than a frame may be, so it consists of any number of :data:`PART` frames and one frame that has its
kind. Its channel is the number of the call that it belongs to. Both sides write whole frames only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from ...agent.inside.frames import PIECE, Decoder, ProtocolError, encode

#: A piece of a message, without the last one.
PART = 0
#: Sandbox to broker: an operation as JSON; the tests' results as JSON; the end of pytest as JSON.
CALL, RESULT, END = 1, 2, 3
#: Broker to sandbox: the answer to a call as JSON; interrupt the tests.
ANSWER, INTERRUPT = 4, 5

#: Limits in bytes for what the broker accepts, and for what the sandbox accepts.
BROKER_LIMIT = 16 << 20
SANDBOX_LIMIT = 256 << 20

Take = Callable[[int, int, bytes], None]


def frames_of(channel: int, kind: int, message: bytes = b"") -> bytes:
    """Return the frames of one message."""
    starts = range(0, max(len(message), 1), PIECE)
    pieces = [message[start : start + PIECE] for start in starts]
    *parts, last = pieces
    return b"".join(encode(channel, PART, part) for part in parts) + encode(channel, kind, last)


class Messages:
    """Joins frames to messages."""

    def __init__(self, take: Take, limit: int) -> None:
        """Call ``take(channel, kind, message)`` for each message. Incomplete messages have at most ``limit`` bytes."""
        self._take, self._limit = take, limit
        self._parts: defaultdict[int, bytearray] = defaultdict(bytearray)
        self._waiting = 0
        self._decoder = Decoder(self._add)

    def feed(self, data: bytes) -> None:
        """Process the next chunk.

        Raises:
            ProtocolError: A frame or a message is larger than the limit.
        """
        self._decoder.feed(data)

    def _add(self, channel: int, kind: int, payload: bytes) -> None:
        self._waiting += len(payload)
        if self._waiting > self._limit:
            raise ProtocolError(f"messages of more than {self._limit} bytes")
        if kind == PART:
            self._parts[channel] += payload
            return
        message = bytes(self._parts.pop(channel, b"")) + payload
        self._waiting -= len(message)
        self._take(channel, kind, message)
