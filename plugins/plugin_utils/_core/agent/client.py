# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turning Ansible's command lines into requests, and sending a request to the agent.

Ansible writes command lines for a shell, mostly ``/bin/sh -c '… && sleep 0'``. The agent can skip the shell for two
kinds:

- The line is exactly one interpreter call, with a module on standard input. This is verified by quoting its words again
  and comparing. The agent then runs the module on a fork of itself.
- The line is one of three lines about a temporary folder that Ansible uses around a file transfer. Each would cost
  several processes. It must match exactly, without anything that a shell would expand.

All other lines are run by a shell. This module imports little, because every task imports it.
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


def temporary_folder_request(script: str) -> dict[str, Any] | None:
    """Return the request for a shell script about a temporary folder; ``None`` for any other script."""
    if match := _MAKE.fullmatch(script):
        return {"do": "make", "base": match["base"], "name": match["name"]}
    if match := _ALLOW.fullmatch(script):
        return {"do": "allow", "paths": match["paths"].split()}
    if match := _REMOVE.fullmatch(script):
        return {"do": "remove", "path": match["path"]}
    return None


Request = dict[str, Any]

#: ansible-core up to 2.20 appends this to each command because of ssh (ansible/ansible#13876). Without it, the script
#: has the same effect and ends sooner.
_TAIL = " && sleep 0"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(rf"{_NAME.pattern}=")
_SHELL = "/bin/sh"
_INTERPRETER = re.compile(r"[\w./+-]*python[0-9.]*")


def request(line: str, *, has_input: bool) -> Request:
    """Turn a command line into a request.

    Args:
        line: The command line.
        has_input: Whether a module is sent on standard input.

    Returns:
        A request as :func:`.inside.child.run` defines it.
    """
    words = _words(line)
    if words is None or line != shlex.join(words) or len(words) != 3 or words[:2] != [_SHELL, "-c"]:  # noqa: PLR2004
        return {"do": "exec", "argv": [_SHELL, "-c", line]}
    script = words[2].removesuffix(_TAIL)
    shortcut = (_module_request(script) if has_input else temporary_folder_request(script)) or {"do": "exec"}
    return {**shortcut, "argv": [_SHELL, "-c", script]}  # the command to run if there is no agent


def describe_request(request: Request) -> str:
    """Return the command of a request for the log, without the values of environment variables: they may be secret."""
    script = str(request["argv"][-1])
    words = _words(script) or []
    count = next((index for index, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))
    names = [word.partition("=")[0] + "=…" for word in words[:count]]
    return " ".join([*names, *words[count:]]) if names else script


def _module_request(script: str) -> Request | None:
    """Return the request for a shell script that only starts an interpreter; ``None`` if it might do more.

    It does no more if quoting its words again, as Ansible does, results in the same script.
    """
    script = script.rstrip(" ")  # only spaces: a shell treats other white space as part of a word
    words = _words(script)
    if not words or not _INTERPRETER.fullmatch(words[-1]):
        return None
    environment = dict(word.partition("=")[::2] for word in words[:-1])
    assignments = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    if script != " ".join([*assignments, words[-1]]) or not all(map(_NAME.fullmatch, environment)):
        return None
    return {"do": "module", "interpreter": words[-1], "env": environment}


def _words(line: str) -> list[str] | None:
    try:
        return shlex.split(line)
    except ValueError:
        return None


_CHUNK = 1 << 18


class AgentLostError(Exception):
    """The connection to the agent ended before the command did."""


@dataclass(frozen=True, slots=True)
class End:
    """How a command ended."""

    #: Exit status, or 128 plus the number of the signal that ended it.
    code: int
    #: Number of this signal, or 0.
    signal: int


def run(
    sock: socket.socket,
    request: Request,
    *,
    stdin: Iterable[bytes] = (),
    take: Callable[[int, bytes], None],
    note: Callable[[str], None],
) -> End:
    """Run one command over a new connection to the agent, and close the connection.

    Args:
        sock: The connection.
        request: See :func:`.inside.child.run`.
        stdin: Standard input, in chunks. It is closed after the last chunk.
        take: Called with 1 (standard output) or 2 (standard error) and the bytes, whenever bytes arrive.
        note: Called with each log line of the agent about the command.

    Raises:
        AgentLostError: The agent, its container or the connection ended first.
        OSError: Raised by ``stdin`` or ``take``.
        TooMuchOutputError: Raised by ``take``; the command is ended.
    """
    ends: list[End] = []

    def take_frame(_channel: int, kind: int, payload: bytes) -> None:
        if kind in {frames.STDOUT, frames.STDERR}:
            take(1 if kind == frames.STDOUT else 2, payload)
        elif kind == frames.NOTE:
            note(payload.decode(errors="replace"))
        elif kind == frames.EXIT:
            ends.append(_read_end(payload))

    with sock:
        try:
            _converse(sock, _outgoing(request, stdin), frames.Decoder(take_frame), ends)
        except frames.ProtocolError as error:
            raise AgentLostError(str(error)) from error
    if not ends:
        raise AgentLostError("the connection to the agent ended")
    return ends[0]


def _read_end(payload: bytes) -> End:
    try:
        end = json.loads(payload)
        return End(int(end["code"]), int(end["signal"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise frames.ProtocolError("the agent reported the end of a command without status and signal") from error


def _outgoing(request: Request, stdin: Iterable[bytes]) -> Iterator[memoryview]:
    yield memoryview(frames.encode(0, frames.OPEN, json.dumps(request).encode()))
    for chunk in stdin:
        for start in range(0, len(chunk), frames.PIECE):
            yield memoryview(frames.encode(0, frames.STDIN, chunk[start : start + frames.PIECE]))
    yield memoryview(frames.encode(0, frames.STDIN))


def _converse(sock: socket.socket, outgoing: Iterator[memoryview], decoder: frames.Decoder, ends: list[End]) -> None:
    """Send and receive at the same time: a command that writes while it reads must not block."""
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
    """Send as much as possible without waiting. Returns the unsent rest; ``None`` if nothing more is to be sent."""
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
    """Receive a chunk; empty at the end."""
    try:
        return sock.recv(_CHUNK)
    except ConnectionResetError:
        # The other side closed before it read all input. The kernel reports this once, before the data that it sent
        # earlier.
        with contextlib.suppress(OSError):
            return sock.recv(_CHUNK)
    except OSError:
        pass
    return b""
