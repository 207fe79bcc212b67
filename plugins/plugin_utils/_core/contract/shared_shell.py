# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the commands of a test session in a container through one shell that stays there.

An engine needs 60 to 100 ms of processor time to start a command, and most commands of tests need one millisecond. Each
command is still a new process with the environment, user, folder and limits that the engine would give it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from ..engine.engine import Engine
from ..engine.streams import Frames
from ..errors import EngineError
from .container_operations import CommandOutput
from .shell_protocol import END, GREETING, SCRIPT, ShellAnswer, request

_SHELL = "/bin/sh"
#: Time for the shell to start, and for it to read a request, in seconds.
_START_SECONDS = 30.0
#: How long output of processes that a command left belongs to it, in seconds. Docker reads it for the same time.
_REST_SECONDS = 2.0
#: Largest command in bytes. The kernel allows one argument of 128 KiB; a shell reads its input byte by byte.
_LARGEST = 16 << 10
_CHUNK = 1 << 16

_SILENT = f"the shell of the tests in the container has not read a command for {_START_SECONDS:g} s; it was stopped"


def needs_engine(argv: Sequence[str]) -> bool:
    """Say whether the engine itself must start a command.

    It must if the command looks at its parent process, which the engine's own commands do not have in the container.
    Whoever begins a command line with ``exec`` means that. It must also start very long commands.
    """
    line = argv[-1].lstrip()
    return line.startswith("exec ") or any("PPID" in word for word in argv) or sum(map(len, argv)) > _LARGEST


class SharedShell:
    """The shell of one container. It is started for the first command. Threads may share it."""

    def __init__(self, engine: Engine, container: str, user: str = "") -> None:
        """Prepare; nothing is started yet.

        Args:
            engine: The engine.
            container: ID of the container.
            user: ``name``, ``uid`` or ``uid:gid``; empty for the container's own user.
        """
        self._engine, self._container, self._user = engine, container, user
        self._connection: _ShellStreams | None = None
        self._is_usable = True
        self._lock = threading.Lock()

    def run(self, argv: Sequence[str]) -> CommandOutput | None:
        """Run a command.

        Args:
            argv: The command and its arguments.

        Returns:
            Its output; ``None`` if the engine must run it: the container has no shell that works, the command
            :func:`needs_engine`, or the shell is busy with the command of a different thread. The command had no effect
            then.

        Raises:
            ContainerGoneError: The container ended before the command did.
            EngineError: The shell answered what no shell answers, or the engine rejected a request.
            TooMuchOutputError: The output is larger than the limit.
        """
        if needs_engine(argv) or not self._lock.acquire(blocking=False):
            return None
        try:
            # If the shell was killed since the last command, a new one runs this command.
            output = self._run(argv) or self._run(argv)
            self._is_usable = output is not None
            return output
        finally:
            self._lock.release()

    def end(self) -> None:
        """Let the shell end, so that it is not among the container's processes. The next command starts a new one.

        If a different thread runs a command, nothing happens.
        """
        if self._lock.acquire(blocking=False):
            try:
                if self._connection is not None:
                    self._connection.end()
                self._drop()
            finally:
                self._lock.release()

    def _run(self, argv: Sequence[str]) -> CommandOutput | None:
        connection = self._connect()
        if connection is None:
            return None
        token, result = secrets.token_hex(16), None
        answer = ShellAnswer(token)
        try:
            connection.ask(request(token, argv), answer)
            if answer.result is not None and answer.result.left_processes:
                connection.read(_never, _REST_SECONDS)
            result = answer.result
        finally:
            if result is None or result.left_processes:
                self._drop()
        if not answer.begun:
            return None
        if result is None:  # the command has ended the shell, too: they have the same status
            status = self._engine.exec.known_status(self._container, connection.status())
        else:
            status = result.status
        return CommandOutput(status, bytes(answer.output.stdout), bytes(answer.output.stderr))

    def _connect(self) -> _ShellStreams | None:
        if self._connection is None and self._is_usable:
            self._is_usable = False
            with suppress(EngineError):  # the engine's own command reports why
                connection = _ShellStreams(self._engine, self._container, self._user)
                try:
                    self._is_usable = connection.is_greeted()
                finally:
                    if self._is_usable:
                        self._connection = connection
                    else:
                        connection.close()
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _ShellStreams:
    """The streams of a shell that was started."""

    def __init__(self, engine: Engine, container: str, user: str) -> None:
        self._stack = ExitStack()
        self._command = self._stack.enter_context(engine.exec.started(container, [_SHELL, "-c", SCRIPT], user))
        self._take: Callable[[int, bytes], None] = _ignore
        self._frames = Frames(self._pass_on)
        self._has_ended = False

    def is_greeted(self) -> bool:
        """Wait for the greeting, and say whether it is that of the shell."""
        seen = bytearray()
        self._take = lambda _stream, data: seen.extend(data)
        self._frames.feed(self._command.ahead)
        self.read(lambda: len(seen) >= len(GREETING), _START_SECONDS)
        return bytes(seen) == GREETING

    def ask(self, line: bytes, answer: ShellAnswer) -> None:
        """Send a request and read its answer. It stays incomplete if the shell ends.

        Raises:
            EngineError: The shell runs, but does not read the request.
        """
        self._take = answer.take
        self._command.socket.settimeout(_START_SECONDS)
        try:
            self._command.socket.sendall(line)
        except TimeoutError:
            raise EngineError(_SILENT) from None
        except OSError:
            return
        if self.read(lambda: answer.begun, _START_SECONDS):
            self.read(lambda: answer.result is not None)
        elif not self._has_ended:
            raise EngineError(_SILENT)

    def read(self, until: Callable[[], bool], seconds: float | None = None) -> bool:
        """Read until ``until()`` is true, but not longer than the shell writes, or than this number of seconds.

        Returns:
            Whether it is true.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while not until():
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                return False
            self._command.socket.settimeout(remaining)
            try:
                chunk = self._command.socket.recv(_CHUNK)
            except TimeoutError:
                return False
            except OSError:  # the connection was reset
                chunk = b""
            if not chunk:
                self._has_ended = True
                return False
            self._frames.feed(chunk)
        return True

    def _pass_on(self, stream: int, data: bytes) -> None:
        self._take(stream, data)

    def end(self) -> None:
        """Let the shell end itself, and wait for it."""
        self._take = _ignore
        with suppress(OSError):
            self._command.socket.sendall(END)
            self.read(_never, _REST_SECONDS)

    def status(self) -> int | None:
        """Return the exit status of the shell; ``None`` if the engine does not know it."""
        return self._command.status()

    def close(self) -> None:
        """Close the streams. The shell notices it, and ends itself after its command."""
        self._stack.close()


def _never() -> bool:
    return False


def _ignore(_stream: int, _data: bytes) -> None:
    """Drop data."""
