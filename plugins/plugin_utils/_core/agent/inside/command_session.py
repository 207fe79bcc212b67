# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One command: its forked child, streams, end.

A forked child that waits to be told what to become.

Forking a process of this size, and the page faults that follow, take longer than what most commands do. So a child is
forked while nothing else is to be done, and gets its request when there is one.

One command: its process, its streams, its end.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
from collections import deque
from typing import Any, Callable

from . import child, frames
from .link import READ, WRITE, Link, Loop


class ForkedChild:
    """A child and our ends of its pipes."""

    def __init__(self) -> None:
        """Fork. The child waits; it ends by itself if its request never comes.

        Raises:
            OSError: No process can be started.
        """
        pipes: list[tuple[int, int]] = []
        try:
            while len(pipes) < 5:  # noqa: PLR2004 - those that are named below
                pipes.append(os.pipe())
            self.pid = os.fork()
        except OSError:
            for fd in itertools.chain(*pipes):
                os.close(fd)
            raise
        (stdin, self.stdin), (self.stdout, stdout), (self.stderr, stderr), (self.notes, notes), told = pipes
        request, self._request = told
        if self.pid == 0:
            child.run(request, (stdin, stdout, stderr), notes)  # never returns
        for fd in (stdin, stdout, stderr, notes, request):
            os.close(fd)
        for fd in (self.stdin, self.stdout, self.stderr, self.notes):
            os.set_blocking(fd, False)

    def start(self, request: dict[str, Any]) -> None:
        """Tell the child what to become; see :func:`.child.run`.

        Raises:
            BrokenPipeError: Somebody has killed it.
        """
        told = memoryview(json.dumps(request).encode())
        while told:
            told = told[os.write(self._request, told) :]  # it does nothing but read, so it takes all of it
        os.close(self._request)
        self._request = -1

    def drop(self) -> None:
        """Let a child that is not needed end."""
        for fd in (self.stdin, self.stdout, self.stderr, self.notes, self._request):
            if fd >= 0:
                os.close(fd)
        os.waitpid(self.pid, 0)


#: Seconds between asking a command to end and making it.
GRACE = 2.0

#: Input that a command has not read yet; above it, its link takes no more.
_MOST_INPUT = 1 << 20


class CommandSession:
    """A command that runs for one channel of a link."""

    def __init__(
        self,
        loop: Loop,
        link: Link,
        channel: int,
        process: ForkedChild,
        ended: Callable[[CommandSession], None],
        *,
        keep: bool,
    ) -> None:
        """Watch over a command that was started.

        Args:
            loop: Watches the command's streams.
            link: Gets what the command writes.
            channel: The command's number on that link.
            process: The command.
            ended: Called once, after the end was told.
            keep: Whether to keep what the command is fed with in ``program``.
        """
        self._keep = keep
        self._loop, self._link, self._channel = loop, link, channel
        self._ended = ended
        self._input: deque[memoryview] = deque()
        self._input_size = 0
        self._input_ends = False
        #: What the command was fed with, as far as it is kept.
        self.program: list[bytes] = []
        self._status: int | None = None
        self._pid, self._stdin, self._notes = process.pid, process.stdin, process.notes
        self._open = {process.stdout: frames.STDOUT, process.stderr: frames.STDERR}
        self._listen()

    def feed(self, data: bytes) -> None:
        """Pass a piece of standard input on; an empty one is its end."""
        if self._stdin < 0:
            return
        if data and self._keep:
            self.program.append(data)
        if data:
            self._input.append(memoryview(data))
            self._input_size += len(data)
        else:
            self._input_ends = True
        self._write_input()

    def abort(self) -> None:
        """End the command, nobody wants its answer any more."""
        self._signal(signal.SIGTERM)
        self._loop.later(GRACE, self.kill)

    def kill(self) -> None:
        """End the command at once."""
        self._signal(signal.SIGKILL)

    def reap(self) -> None:
        """Look whether the command's process has ended."""
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = status
                self._close_stdin()
                self._finish()

    def _signal(self, number: int) -> None:
        # The process leads a group of its own, whose number stays taken while one of the group still writes to us.
        if self._status is None or self._open:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, number)

    def _listen(self) -> None:
        for fd in self._open:
            self._loop.watch(fd, READ, lambda fd=fd: self._read(fd))  # type: ignore[misc]

    def _read(self, fd: int) -> None:
        if self._link.full:
            for each in self._open:
                self._loop.forget(each)
            self._link.when_drained(self._listen)
            return
        try:
            data = os.read(fd, frames.PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._link.send(self._channel, self._open[fd], data)
            return
        self._loop.forget(fd)
        del self._open[fd]
        os.close(fd)
        self._finish()

    def _write_input(self) -> None:
        while self._input:
            try:
                written = os.write(self._stdin, self._input[0])
            except BlockingIOError:
                self._loop.watch(self._stdin, WRITE, self._write_input)
                if self._input_size > _MOST_INPUT:
                    self._link.pause()
                return
            except OSError:  # the command reads no more, which is its right
                self._close_stdin()
                return
            self._input_size -= written
            self._input[0] = self._input[0][written:]
            if not self._input[0]:
                self._input.popleft()
        self._loop.forget(self._stdin)
        self._link.resume()
        if self._input_ends:
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self._stdin >= 0:
            self._loop.forget(self._stdin)
            os.close(self._stdin)
            self._stdin = -1
            self._input.clear()
            self._link.resume()

    def _finish(self) -> None:
        """Tell the end once the process is gone and both streams are read, as a shell over ssh does."""
        if self._status is None or self._open or self._notes < 0:
            return
        self._tell_notes()
        status = self._status
        died = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        end = {"code": 128 + died if died else os.WEXITSTATUS(status), "signal": died}
        self._link.send(self._channel, frames.EXIT, json.dumps(end).encode())
        self._ended(self)

    def _tell_notes(self) -> None:
        notes, self._notes = self._notes, -1
        with contextlib.suppress(OSError):
            while data := os.read(notes, frames.PIECE):
                self._link.send(self._channel, frames.NOTE, data)
        os.close(notes)
