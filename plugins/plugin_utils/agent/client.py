# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One command through the agent, from the controller's side. Imports little: every task pays for it."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .command import Request
from .inside import frames

_CHUNK = 1 << 18


class AgentLostError(Exception):
    """The agent went away before the command ended."""


@dataclass(frozen=True, slots=True)
class End:
    """How a command ended."""

    #: Exit status, or 128 and the number of the signal that ended it.
    code: int
    #: That signal, or 0.
    signal: int


def run(
    sock: socket.socket,
    request: Request,
    *,
    stdin: Iterable[bytes] = (),
    take: Callable[[int, bytes], None],
    note: Callable[[str], None],
) -> End:
    """Run one command over a fresh connection to the agent, and close it.

    Args:
        sock: The connection.
        request: See :func:`.inside.child.run`.
        stdin: What the command reads, in pieces; it sees the end after the last one.
        take: Called with 1 (standard output) or 2 (standard error) and the bytes, as they come.
        note: Called with what the agent has to say about the command.

    Raises:
        AgentLostError: The agent, its container or the way there ended first.
        OSError: What ``stdin`` or ``take`` raised.
        TooMuchOutputError: What ``take`` raised; the command is ended.
    """
    ends: list[End] = []

    def frame(_channel: int, kind: int, payload: bytes) -> None:
        if kind in {frames.STDOUT, frames.STDERR}:
            take(1 if kind == frames.STDOUT else 2, payload)
        elif kind == frames.NOTE:
            note(payload.decode(errors="replace"))
        elif kind == frames.EXIT:
            ends.append(_end(payload))

    with sock:
        try:
            _converse(sock, _outgoing(request, stdin), frames.Decoder(frame), ends)
        except frames.ProtocolError as error:
            raise AgentLostError(str(error)) from error
    if not ends:
        raise AgentLostError("the connection to the agent ended")
    return ends[0]


def _end(payload: bytes) -> End:
    try:
        told = json.loads(payload)
        return End(int(told["code"]), int(told["signal"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise frames.ProtocolError("the end of a command that says neither status nor signal") from error


def _outgoing(request: Request, stdin: Iterable[bytes]) -> Iterator[memoryview]:
    yield memoryview(frames.encode(0, frames.OPEN, json.dumps(request).encode()))
    for piece in stdin:
        for start in range(0, len(piece), frames.PIECE):
            yield memoryview(frames.encode(0, frames.STDIN, piece[start : start + frames.PIECE]))
    yield memoryview(frames.encode(0, frames.STDIN))


def _converse(sock: socket.socket, outgoing: Iterator[memoryview], decoder: frames.Decoder, ends: list[End]) -> None:
    """Send and receive at once: a command that writes while it reads must not wait for us."""
    sock.setblocking(False)
    unsent: memoryview | None = next(outgoing)
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while not ends:
            for _key, events in selector.select():
                if events & selectors.EVENT_WRITE:
                    unsent = _send(sock, unsent, outgoing)
                    if unsent is None:
                        selector.modify(sock, selectors.EVENT_READ)
                if events & selectors.EVENT_READ:
                    data = _receive(sock)
                    if not data:
                        return
                    decoder.feed(data)


def _send(sock: socket.socket, unsent: memoryview | None, outgoing: Iterator[memoryview]) -> memoryview | None:
    """Send as much as goes now; ``None`` after the last piece, or once nobody takes more, as after the end."""
    while unsent is not None:
        try:
            sent = sock.send(unsent)
        except BlockingIOError:
            return unsent
        except OSError:
            return None
        unsent = unsent[sent:] or next(outgoing, None)
    return None


def _receive(sock: socket.socket) -> bytes:
    """Receive a piece; empty at the end."""
    try:
        return sock.recv(_CHUNK)
    except ConnectionResetError:
        # The other end closed with input of ours unread. It is told once, ahead of what was sent before.
        with contextlib.suppress(OSError):
            return sock.recv(_CHUNK)
    except OSError:
        pass
    return b""
