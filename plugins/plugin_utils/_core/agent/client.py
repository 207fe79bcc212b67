# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A command as a request, sent through the agent.

What Ansible does before and after a file's transfer: three lines of shell that it always writes the same way.

They are about a temporary folder of its own, cost several processes each, and a task that copies a file needs all of
them. A line that is exactly one of these, about such a folder and with nothing in it for a shell to expand, has one
meaning, which the agent needs no shell for. Should Ansible write them another way, a shell runs them as before.

What Ansible asks a connection to run, as a request to the agent.

Ansible writes one command line for a shell, mostly ``/bin/sh -c '… && sleep 0'``. Where that line is provably nothing
but an interpreter with a module on its standard input, the agent can do without shell and interpreter.

One command through the agent, from the controller's side. Imports little: every task pays for it.
"""

from __future__ import annotations

import contextlib
import json
import re
import selectors
import shlex
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .inside import frames

_PATH = r"/[A-Za-z0-9_./-]+"
_TEMPORARY = r"ansible-tmp-[0-9.]+-[0-9]+-[0-9]+"

_MAKE = re.compile(
    rf'\( umask 77 && mkdir -p "` echo (?P<base>{_PATH}) `"&& mkdir "` echo (?P=base)/(?P<name>{_TEMPORARY}) `"'
    r' && echo (?P=name)="` echo (?P=base)/(?P=name) `" \)'
)
_ALLOW = re.compile(rf"chmod u\+rwx(?P<paths>(?: {_PATH}/{_TEMPORARY}(?:{_PATH})?/?)+)")
_REMOVE = re.compile(rf"rm -f -r (?P<path>{_PATH}/{_TEMPORARY})/ > /dev/null 2>&1")


def housekeeping_request(script: str) -> dict[str, Any] | None:
    """The agent's request for a script of Ansible's; ``None`` for any other."""
    if found := _MAKE.fullmatch(script):
        return {"do": "make", "base": found["base"], "name": found["name"]}
    if found := _ALLOW.fullmatch(script):
        return {"do": "allow", "paths": found["paths"].split()}
    if found := _REMOVE.fullmatch(script):
        return {"do": "remove", "path": found["path"]}
    return None


Request = dict[str, Any]

#: Appended to each command by ansible-core up to 2.20 for the sake of ssh (ansible/ansible#13876). The script means the
#: same without it, and ends sooner.
_TAIL = " && sleep 0"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(rf"{_NAME.pattern}=")
_SHELL = "/bin/sh"
_INTERPRETER = re.compile(r"[\w./+-]*python[0-9.]*")


def request(line: str, *, has_input: bool) -> Request:
    """Turn a command line into a request.

    Args:
        line: The command line.
        has_input: Whether a module comes on standard input.
    """
    words = _words(line)
    if words is None or line != shlex.join(words) or len(words) != 3 or words[:2] != [_SHELL, "-c"]:  # noqa: PLR2004
        return {"do": "exec", "argv": [_SHELL, "-c", line]}
    script = words[2].removesuffix(_TAIL)
    known = (_module(script) if has_input else housekeeping_request(script)) or {"do": "exec"}
    return {**known, "argv": [_SHELL, "-c", script]}  # that is what it comes to where there is no agent


def shown(request: Request) -> str:
    """The command of a request, for people: without the values of a task's environment, which may be secret."""
    script = str(request["argv"][-1])
    words = _words(script) or []
    count = next((index for index, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))
    names = [word.partition("=")[0] + "=…" for word in words[:count]]
    return " ".join([*names, *words[count:]]) if names else script


def _module(script: str) -> Request | None:
    """The request for a shell script that only starts an interpreter; ``None`` if it might do more.

    It does no more if quoting its words again, as Ansible does, gives the script: nothing is left for the shell.
    """
    script = script.rstrip(" ")  # what else is white to Python is part of a word to a shell
    words = _words(script)
    if not words or not _INTERPRETER.fullmatch(words[-1]):
        return None
    environment = dict(word.partition("=")[::2] for word in words[:-1])
    again = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    if script != " ".join([*again, words[-1]]) or not all(map(_NAME.fullmatch, environment)):
        return None
    return {"do": "module", "interpreter": words[-1], "env": environment}


def _words(line: str) -> list[str] | None:
    try:
        return shlex.split(line)
    except ValueError:
        return None


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
