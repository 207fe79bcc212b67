# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent's server and its start.

The agent itself: takes requests from its links and runs a session for each.

How the agent starts: settings in, a server out.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import sys
from typing import Any

from . import frames, modules, preload
from .child import CANNOT_RUN
from .command_session import GRACE, CommandSession, ForkedChild
from .link import READ, Link, Loop

#: How long commands may take to end when the agent does.
_PATIENCE = GRACE / 2

#: How long the controller may take to hand a socket over.
_DOOR_SECONDS = 10


class Server:
    """Serves until the stream that started it ends."""

    def __init__(self, default_user: str) -> None:
        """Prepare.

        Args:
            default_user: Whom commands run as that name no user; empty for the agent's own.
        """
        self._loop = Loop()
        self._default_user = default_user
        self._sessions: set[CommandSession] = set()
        self._links: set[Link] = set()
        self._door: socket.socket | None = None
        self._ending = False
        self._spare: ForkedChild | None = None
        self._programs: list[bytes] = []
        self._watch_children()

    def serve_stream(self, reader: int, writer: int, about: dict[str, Any]) -> None:
        """Serve commands over one stream for all of them; its end is the agent's.

        Args:
            reader: Descriptor to read from.
            writer: Descriptor to write to.
            about: Told to the other side once.
        """
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        self._serve(reader, writer, self._end).send(0, frames.READY, json.dumps(about).encode())

    def take_door(self, path: str) -> str:
        """Serve commands at a socket too, each over a connection of its own.

        Args:
            path: Of another socket, through which the controller hands over the one that it listens at.

        Returns:
            Why there is no socket; empty if there is one.
        """
        numbers = array.array("i", [-1])
        try:
            with socket.socket(socket.AF_UNIX) as giver:
                giver.settimeout(_DOOR_SECONDS)
                giver.connect(path)
                _, rights, _, _ = giver.recvmsg(1, socket.CMSG_LEN(numbers.itemsize))
        except OSError as error:
            return str(error)
        if not rights:
            return "the controller handed nothing over"
        numbers = array.array("i", rights[0][2])
        os.set_inheritable(numbers[0], False)
        self._door = socket.socket(fileno=numbers[0])
        self._door.setblocking(False)
        self._loop.watch(self._door.fileno(), READ, self._accept)
        return ""

    def run(self) -> None:
        """Serve until the end."""
        self._prepare()
        self._loop.run()
        if self._spare is not None:
            self._spare.drop()

    def _accept(self) -> None:
        if self._door is None:
            return
        try:
            near, _ = self._door.accept()
        except OSError:
            return
        near.setblocking(False)
        try:
            writer = os.dup(near.fileno())
        except OSError:
            near.close()
            return
        self._serve(near.detach(), writer, lambda: None)

    def _serve(self, reader: int, writer: int, closed: Any) -> Link:
        sessions: dict[int, CommandSession] = {}

        def take(channel: int, kind: int, payload: bytes) -> None:
            if kind == frames.OPEN:
                self._open(link, channel, payload, sessions)
            elif channel in sessions and kind == frames.STDIN:
                sessions[channel].feed(payload)
            elif channel in sessions and kind == frames.ABORT:
                sessions[channel].abort()
            elif kind == frames.END:
                self._end()

        def gone() -> None:
            self._links.discard(link)
            for session in list(sessions.values()):
                session.abort()
            closed()

        link = Link(self._loop, reader, writer, frames.Decoder(take).feed, gone)
        self._links.add(link)
        return link

    def _open(self, link: Link, channel: int, payload: bytes, sessions: dict[int, CommandSession]) -> None:
        try:
            request = json.loads(payload)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict) or channel in sessions:
            raise frames.ProtocolError("no request, or one on a channel that is taken")
        request["user"] = request.get("user") or self._default_user

        def ended(session: CommandSession) -> None:
            sessions.pop(channel, None)
            self._sessions.discard(session)
            if session.program:
                self._programs.append(b"".join(session.program))
            self._loop.later(0.0, self._prepare)  # after the end was sent, while the controller thinks

        try:
            process = self._start(request)
        except OSError as error:  # a build container has a limit of processes
            link.send(channel, frames.STDERR, f"the agent cannot start a command: {error.strerror}\n".encode())
            link.send(channel, frames.EXIT, json.dumps({"code": CANNOT_RUN, "signal": 0}).encode())
            return
        session = CommandSession(self._loop, link, channel, process, ended, keep=request.get("do") == "module")
        sessions[channel] = session
        self._sessions.add(session)

    def _start(self, request: dict[str, Any]) -> ForkedChild:
        process, self._spare = self._spare or ForkedChild(), None
        try:
            process.start(request)
        except BrokenPipeError:  # somebody killed it while it waited
            process.drop()
            process = ForkedChild()
            process.start(request)
        return process

    def _prepare(self) -> None:
        """Learn from the last command, and have a child ready for the next one."""
        for program in self._programs:
            modules.Module(program).learn()
        self._programs.clear()
        if self._spare is None and not self._ending:
            with contextlib.suppress(OSError):  # the next command will be told, if it is still so
                self._spare = ForkedChild()

    def _watch_children(self) -> None:
        reader, writer = os.pipe()
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler is needed for the descriptor to be written to
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._loop.watch(reader, READ, lambda: self._reap(reader))

    def _reap(self, reader: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(reader, 4096)
        for session in list(self._sessions):
            session.reap()

    def _end(self) -> None:
        """End all commands, then the agent: first by asking. Nobody may take that for the commands' own end."""
        if self._ending:
            return
        self._ending = True
        for link in list(self._links):
            link.close()
        self._loop.later(_PATIENCE if self._sessions else 0.0, self._stop)

    def _stop(self) -> None:
        for session in list(self._sessions):
            session.kill()
        self._loop.stop()


def main(folder: str, archive: str, door: str, user: str) -> None:
    """Run the agent on standard input and output until standard input ends.

    Args:
        folder: The agent's own folder, removed at the end.
        archive: Path of the archive in it that this code came in, with Ansible's ``module_utils``.
        door: Path of the socket through which the one to serve at is handed over; empty for none.
        user: Whom commands run as that name no user; empty for the agent's own.
    """
    try:
        imported = preload.import_ahead(archive)
        server = Server(user)
        refused = server.take_door(door) if door else "not asked for"
        gc.collect()
        gc.freeze()
        about = {"pid": os.getpid(), "python": sys.executable, "modules": imported, "no_socket": refused}
        reader, writer = os.dup(0), os.dup(1)
        # What a command forgets to redirect must not get into the stream.
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.close(nothing)
        server.serve_stream(reader, writer, about)
        server.run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
