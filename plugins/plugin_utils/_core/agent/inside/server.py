# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The server of the agent, and its start. It reads requests from its links, and runs a session for each request."""

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

from . import frames, modules, preload, small_requests, unsynced
from .child import CANNOT_RUN
from .command_session import GRACE, CommandSession, ForkedChild
from .link import READ, FrameLink, Loop

#: Seconds that commands may take to end when the agent ends.
_END_SECONDS = GRACE / 2

#: Timeout in seconds for the controller to hand over the listening socket.
_HANDOVER_SECONDS = 10


class Server:
    """Runs commands until the stream that started the agent ends."""

    def __init__(self, default_user: str) -> None:
        """Prepare.

        Args:
            default_user: Default user of commands; empty for the user of the agent.
        """
        self._loop = Loop()
        self._default_user = default_user
        self._sessions: set[CommandSession] = set()
        self._links: set[FrameLink] = set()
        self._listener: socket.socket | None = None
        self._ending = False
        self._spare: ForkedChild | None = None
        self._programs: list[bytes] = []
        self._watch_children()

    def serve_stream(self, reader: int, writer: int, about: dict[str, Any]) -> None:
        """Serve commands over one shared stream. When it ends, the agent ends.

        Args:
            reader: Descriptor to read from.
            writer: Descriptor to write to.
            about: Information that is sent to the other side once.
        """
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        self._serve(reader, writer, self._end).send(0, frames.READY, json.dumps(about).encode())

    def receive_listener(self, path: str) -> str:
        """Receive a listening socket from the controller, and serve commands there too. Each has its own connection.

        Args:
            path: Path of the socket through which the controller hands over the listening socket.

        Returns:
            The reason if this failed; empty if the agent serves the socket.
        """
        descriptors = array.array("i", [-1])
        try:
            with socket.socket(socket.AF_UNIX) as handover:
                handover.settimeout(_HANDOVER_SECONDS)
                handover.connect(path)
                _, rights, _, _ = handover.recvmsg(1, socket.CMSG_LEN(descriptors.itemsize))
        except OSError as error:
            return str(error)
        if not rights:
            return "the controller did not send a socket"
        descriptors = array.array("i", rights[0][2])
        os.set_inheritable(descriptors[0], False)
        self._listener = socket.socket(fileno=descriptors[0])
        self._listener.setblocking(False)
        self._loop.watch(self._listener.fileno(), READ, self._accept)
        return ""

    def run(self) -> None:
        """Serve until the end."""
        self._prepare()
        self._loop.run()
        if self._spare is not None:
            self._spare.drop()

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            near, _ = self._listener.accept()
        except OSError:
            return
        near.setblocking(False)
        try:
            writer = os.dup(near.fileno())
        except OSError:
            near.close()
            return
        self._serve(near.detach(), writer, lambda: None)

    def _serve(self, reader: int, writer: int, closed: Any) -> FrameLink:
        sessions: dict[int, CommandSession | small_requests.SmallFile] = {}

        def take(channel: int, kind: int, payload: bytes) -> None:
            if kind == frames.OPEN:
                self._open(link, channel, payload, sessions)
            elif channel in sessions and kind == frames.STDIN:
                sessions[channel].feed(payload)
            elif channel in sessions and kind == frames.ABORT:
                sessions[channel].abort()
            elif kind == frames.END:
                self._end()

        def link_closed() -> None:
            self._links.discard(link)
            for session in list(sessions.values()):
                session.abort()
            closed()

        link = FrameLink(self._loop, reader, writer, frames.Decoder(take).feed, link_closed)
        self._links.add(link)
        return link

    def _open(
        self,
        link: FrameLink,
        channel: int,
        payload: bytes,
        sessions: dict[int, CommandSession | small_requests.SmallFile],
    ) -> None:
        try:
            request = json.loads(payload)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict) or channel in sessions:
            raise frames.ProtocolError("not a valid request, or its channel is in use")
        request["user"] = request.get("user") or self._default_user
        output = small_requests.answer(request)
        if output is not None:
            link.send(channel, frames.STDOUT, output.encode())
            _send_end(link, channel, 0)
            return

        def ended(number: int) -> None:
            sessions.pop(channel, None)
            _send_end(link, channel, 128 + number if number else 0, number)

        def start() -> CommandSession | None:
            sessions.pop(channel, None)
            return self._start_session(link, channel, request, sessions)

        if small_requests.may_write(request):
            sessions[channel] = small_requests.SmallFile(request["path"], ended, start)
        else:
            start()

    def _start_session(
        self,
        link: FrameLink,
        channel: int,
        request: dict[str, Any],
        sessions: dict[int, CommandSession | small_requests.SmallFile],
    ) -> CommandSession | None:
        def ended(session: CommandSession) -> None:
            sessions.pop(channel, None)
            self._sessions.discard(session)
            if session.program:
                self._programs.append(b"".join(session.program))
            self._loop.later(0.0, self._prepare)  # after the end was sent, while the controller is busy

        try:
            process = self._start(request)
        except OSError as error:  # for example the process limit of the build container
            link.send(channel, frames.STDERR, f"the agent cannot start a command: {error.strerror}\n".encode())
            _send_end(link, channel, CANNOT_RUN)
            return None
        session = CommandSession(self._loop, link, channel, process, ended, keep=request.get("do") == "module")
        sessions[channel] = session
        self._sessions.add(session)
        return session

    def _start(self, request: dict[str, Any]) -> ForkedChild:
        process, self._spare = self._spare or ForkedChild(), None
        try:
            process.start(request)
        except BrokenPipeError:  # it was killed while it waited
            process.drop()
            process = ForkedChild()
            process.start(request)
        return process

    def _prepare(self) -> None:
        """Remember the modules that have run, and fork a child for the next command."""
        for program in self._programs:
            modules.Module(program).learn()
        self._programs.clear()
        if self._spare is None and not self._ending:
            with contextlib.suppress(OSError):  # if it fails again, the next command reports the error
                self._spare = ForkedChild()

    def _watch_children(self) -> None:
        reader, writer = os.pipe()
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler, nothing is written to the descriptor
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._loop.watch(reader, READ, lambda: self._reap(reader))

    def _reap(self, reader: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(reader, 4096)
        for session in list(self._sessions):
            session.reap()

    def _end(self) -> None:
        """End all commands, then the agent. The links are closed first, so no command seems to have ended by itself."""
        if self._ending:
            return
        self._ending = True
        for link in list(self._links):
            link.close()
        self._loop.later(_END_SECONDS if self._sessions else 0.0, self._stop)

    def _stop(self) -> None:
        for session in list(self._sessions):
            session.kill()
        self._loop.stop()


def _send_end(link: FrameLink, channel: int, code: int, number: int = 0) -> None:
    link.send(channel, frames.EXIT, json.dumps({"code": int(code), "signal": int(number)}).encode())


def main(folder: str, archive: str, handover: str, user: str) -> None:
    """Run the agent on standard input and output until standard input ends.

    Args:
        folder: The agent's folder. It is removed at the end.
        archive: Path of the archive in this folder, with this code and Ansible's ``module_utils``.
        handover: Path of the socket through which the listening socket is handed over; empty if there is none.
        user: Default user of commands; empty for the user of the agent.
    """
    try:
        imported = preload.import_ahead(archive)
        waits = unsynced.ignore_syncs()
        server = Server(user)
        no_socket = server.receive_listener(handover) if handover else "not requested"
        gc.collect()
        gc.freeze()
        about = {
            "pid": os.getpid(),
            "python": sys.executable,
            "modules": imported,
            "no_socket": no_socket,
            "waits_for_disk": waits,
        }
        reader, writer = os.dup(0), os.dup(1)
        # Stray output must not get into the stream.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.close(null)
        server.serve_stream(reader, writer, about)
        server.run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
