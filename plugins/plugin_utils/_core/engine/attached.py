# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands in a container whose input and output are those of this process: a terminal, files, or pipes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import struct
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import EngineError
from .api_errors import translate_errors
from .exec import Exec
from .session import EngineSession
from .streams import Frames, as_socket, can_end_input, read_ahead

_CHUNK = 1 << 16
_STDIN, _STDOUT, _STDERR = 0, 1, 2


class Attached:
    """Commands of one engine that this process is attached to."""

    def __init__(self, session: EngineSession, commands: Exec) -> None:
        self._session, self._commands = session, commands

    def run(self, container: str, argv: list[str], user: str = "") -> int:
        """Run a command, and wait for its end.

        If standard input and output of this process are a terminal, the command gets a terminal of the same size.
        Otherwise its standard input, output and error are those of this process.

        Args:
            container: Name or ID of a running container.
            argv: The command and its arguments; no shell is added.
            user: ``name``, ``uid`` or ``uid:gid``; empty for the default user of the container.

        Returns:
            The exit status.

        Raises:
            ContainerGoneError: The container is not running.
            EngineError: The engine rejected the command, or does not know how it ended.
        """
        if os.isatty(_STDIN) and os.isatty(_STDOUT):
            return self._run_in_terminal(container, argv, user)
        with self._commands.started(container, argv, user) as command:
            frames = Frames(_write_stream)
            frames.feed(command.ahead)
            _relay(command.socket, frames.feed, ends_input=command.can_end_input)
        return _known(container, command.status())

    def _run_in_terminal(self, container: str, argv: list[str], user: str) -> int:
        api, action = self._session.api, f"running a command in container {container}"
        environment = {"TERM": os.environ.get("TERM", "xterm")}
        with translate_errors(action):
            created = api.exec_create(container, argv, stdin=True, tty=True, user=user, environment=environment)
            stream = api.exec_start(created["Id"], tty=True, socket=True)

        def resize(*_arguments: Any) -> None:
            rows, columns = _terminal_size()
            with contextlib.suppress(Exception):  # the command has just ended, or has not begun
                api.exec_resize(created["Id"], height=rows, width=columns)

        try:
            ahead, sock, ends_input = read_ahead(stream), as_socket(stream), can_end_input(stream)
            with _raw_terminal(), _at_signal(signal.SIGWINCH, resize):
                resize()
                _write(_STDOUT, ahead)
                _relay(sock, lambda data: _write(_STDOUT, data), ends_input=ends_input)
        finally:
            getattr(stream, "_response", stream).close()
        with translate_errors(action):
            info = api.exec_inspect(created["Id"])
        return _known(container, None if info["Running"] else info["ExitCode"])


def _known(container: str, status: int | None) -> int:
    if status is None:
        raise EngineError(f"the engine does not know how the command in container {container} ended")
    return status


def _relay(sock: socket.socket, feed: Callable[[bytes], None], *, ends_input: bool) -> None:
    """Send standard input to a command, and pass its output on, until the output ends."""
    with selectors.PollSelector() as selector:  # epoll cannot wait for regular files
        selector.register(sock, selectors.EVENT_READ)
        with contextlib.suppress(ValueError, OSError):  # standard input is closed
            os.fstat(_STDIN)
            selector.register(_STDIN, selectors.EVENT_READ)
        while True:
            for key, _events in selector.select():
                if key.fileobj is sock:
                    try:
                        data = sock.recv(_CHUNK)
                    except ConnectionResetError:
                        data = b""
                    if not data:
                        return
                    feed(data)
                elif not _forward(sock, ends_input=ends_input):
                    selector.unregister(_STDIN)


def _forward(sock: socket.socket, *, ends_input: bool) -> bool:
    """Send a piece of standard input. Returns whether there may be more."""
    data = os.read(_STDIN, _CHUNK)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the command has ended
        if data:
            sock.sendall(data)
            return True
        if ends_input:
            sock.shutdown(socket.SHUT_WR)
    return False


def _write_stream(stream: int, data: bytes) -> None:
    _write(_STDERR if stream == _STDERR else _STDOUT, data)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _terminal_size() -> tuple[int, int]:
    """Return rows and columns of the terminal."""
    rows, columns, _x, _y = struct.unpack("HHHH", fcntl.ioctl(_STDIN, termios.TIOCGWINSZ, b"\0" * 8))
    return rows or 24, columns or 80


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Pass keys on as they are, Ctrl-C included: the terminal in the container handles them."""
    sys.stdout.flush()
    before = termios.tcgetattr(_STDIN)
    tty.setraw(_STDIN)
    try:
        yield
    finally:
        termios.tcsetattr(_STDIN, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _at_signal(number: signal.Signals, handler: Callable[..., None]) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
