# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One command: its forked child process, its streams, and its end.

Forking a process of this size, with the page faults that follow, takes longer than most commands. So the agent forks a
child in advance, while it is idle. The child waits for its request.
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
from .link import READ, WRITE, FrameLink, Loop


class ForkedChild:
    """A forked child process, and the agent's ends of its pipes."""

    def __init__(self) -> None:
        """Fork. The child waits for its request, and ends if the agent closes the pipe without a request.

        Raises:
            OSError: The process cannot be forked.
        """
        pipes: list[tuple[int, int]] = []
        try:
            while len(pipes) < 5:  # noqa: PLR2004 - the five pipes below
                pipes.append(os.pipe())
            self.pid = os.fork()
        except OSError:
            for fd in itertools.chain(*pipes):
                os.close(fd)
            raise
        (stdin, self.stdin), (self.stdout, stdout), (self.stderr, stderr), (self.notes, notes), request_pipe = pipes
        request, self._request = request_pipe
        if self.pid == 0:
            child.run(request, (stdin, stdout, stderr), notes)  # never returns
        for fd in (stdin, stdout, stderr, notes, request):
            os.close(fd)
        for fd in (self.stdin, self.stdout, self.stderr, self.notes):
            os.set_blocking(fd, False)

    def start(self, request: dict[str, Any]) -> None:
        """Send the request to the child; see :func:`.child.run`.

        Raises:
            BrokenPipeError: The child was killed.
        """
        unsent = memoryview(json.dumps(request).encode())
        while unsent:
            unsent = unsent[os.write(self._request, unsent) :]  # never blocks for long: the child only reads
        os.close(self._request)
        self._request = -1

    def drop(self) -> None:
        """End a child that is not needed, and wait for its end."""
        for fd in (self.stdin, self.stdout, self.stderr, self.notes, self._request):
            if fd >= 0:
                os.close(fd)
        os.waitpid(self.pid, 0)


#: Seconds between SIGTERM and SIGKILL when a command is aborted.
GRACE = 2.0

#: Number of unread input bytes of a command above which its link is paused.
_MAX_INPUT = 1 << 20


class CommandSession:
    """A running command that belongs to one channel of a link."""

    def __init__(
        self,
        loop: Loop,
        link: FrameLink,
        channel: int,
        process: ForkedChild,
        ended: Callable[[CommandSession], None],
        *,
        keep: bool,
    ) -> None:
        """Serve a command that was started.

        Args:
            loop: The event loop.
            link: The link to which the output is sent.
            channel: The channel of the command on this link.
            process: The child process of the command.
            ended: Called once, after the end of the command was sent.
            keep: Whether to keep the input of the command in ``program``.
        """
        self._keep = keep
        self._loop, self._link, self._channel = loop, link, channel
        self._ended = ended
        self._input: deque[memoryview] = deque()
        self._input_size = 0
        self._input_ends = False
        #: The input of the command, if it is kept.
        self.program: list[bytes] = []
        self._status: int | None = None
        self._pid, self._stdin, self._notes = process.pid, process.stdin, process.notes
        self._open = {process.stdout: frames.STDOUT, process.stderr: frames.STDERR}
        self._listen()

    def feed(self, data: bytes) -> None:
        """Forward a chunk of standard input. An empty chunk is the end."""
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
        """Ask the command to end, and kill it later: its result is not wanted any more."""
        self._signal(signal.SIGTERM)
        self._loop.later(GRACE, self.kill)

    def kill(self) -> None:
        """Kill the command."""
        self._signal(signal.SIGKILL)

    def reap(self) -> None:
        """Check whether the process of the command has ended."""
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = status
                self._close_stdin()
                self._finish()

    def _signal(self, number: int) -> None:
        # The process leads a process group. While a process of the group still holds our pipes, the group ID is not
        # reused.
        if self._status is None or self._open:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, number)

    def _listen(self) -> None:
        for fd in self._open:
            self._loop.watch(fd, READ, lambda fd=fd: self._read(fd))  # type: ignore[misc]

    def _read(self, fd: int) -> None:
        if self._link.full:
            for open_fd in self._open:
                self._loop.forget(open_fd)
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
                if self._input_size > _MAX_INPUT:
                    self._link.pause()
                return
            except OSError:  # the command does not read any more, which is allowed
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
        """Send the end when the process has ended and both streams are read, as a shell over SSH does."""
        if self._status is None or self._open or self._notes < 0:
            return
        self._send_notes()
        status = self._status
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        end = {"code": 128 + number if number else os.WEXITSTATUS(status), "signal": number}
        self._link.send(self._channel, frames.EXIT, json.dumps(end).encode())
        self._ended(self)

    def _send_notes(self) -> None:
        notes, self._notes = self._notes, -1
        with contextlib.suppress(OSError):
            while data := os.read(notes, frames.PIECE):
                self._link.send(self._channel, frames.NOTE, data)
        os.close(notes)
