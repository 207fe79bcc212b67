# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running commands in containers, also without the SDK.

Starting a command without the SDK, whose import takes longer than everything else that starts an agent.

Only what :mod:`.exec` does too, for engines that :func:`.session.speaks` says yes to; others need the SDK. The calls
are
those of the Engine API (``POST /containers/{id}/exec``, ``POST /exec/{id}/start``), which Podman speaks as well.

Running commands in containers, with their three streams kept apart.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from ..errors import ContainerGoneError, EngineError, EngineUnavailableError, concerning
from .api_errors import MissingError, RefusedError, translated
from .session import EngineSession, connection, refusal, speaks
from .streams import Frames, StartedCommand, bridged, buffered, can_tell_the_end, read_ahead


class DirectExec:
    """Commands in the containers of one engine that is asked directly."""

    def __init__(self, address: str) -> None:
        """Take an address that :func:`.session.speaks` says yes to; nothing is opened yet."""
        self._address = address

    def user_of(self, container: str) -> str:
        """The user that a container's commands run as unless they say otherwise; empty for root.

        Raises:
            EngineError: There is no such container.
            EngineUnavailableError: The engine does not answer.
        """
        with self._understood():
            return str(self._ask("GET", f"/containers/{quote(container, safe='')}/json")["Config"].get("User") or "")

    @contextlib.contextmanager
    def started(self, container: str, argv: list[str], user: str) -> Iterator[StartedCommand]:
        """Start a command, and let go of its stream at the end of the ``with`` statement.

        Args:
            container: Name or ID of a running container.
            argv: The command and its arguments.
            user: ``name``, ``uid`` or ``uid:gid``.

        Raises:
            EngineError: The engine refused: the container does not run, or does not exist.
            EngineUnavailableError: The engine does not answer.
        """
        streams = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
        asked = {"Cmd": argv, "User": user, "Tty": False, **streams}
        with self._understood():
            made = str(self._ask("POST", f"/containers/{quote(container, safe='')}/exec", asked)["Id"])
        with contextlib.closing(connection(self._address)) as connected:
            upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
            answer = self._send(connected, "POST", f"/exec/{made}/start", {"Detach": False, "Tty": False}, upgrade)
            if answer.status not in {HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.OK}:
                raise EngineError(refusal(self._address, f"/exec/{made}/start", answer.status, answer.read()))
            sock = connected.sock
            yield StartedCommand(
                sock, buffered(answer.fp, sock), can_tell_the_end=True, status=lambda: self._status(made)
            )

    def _status(self, made: str) -> int | None:
        with self._understood():
            found = self._ask("GET", f"/exec/{made}/json")
            return None if found["Running"] else found["ExitCode"]

    def _understood(self) -> contextlib.AbstractContextManager[None]:
        return concerning(f"the engine at {self._address}: its answer cannot be understood", EngineError)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        with contextlib.closing(connection(self._address)) as connected:
            answer = self._send(connected, method, path, body, {})
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise EngineError(refusal(self._address, path, answer.status, answer.read()))
            return json.loads(answer.read())

    def _send(
        self, connected: http.client.HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        content = {} if body is None else {"Content-Type": "application/json"}
        try:
            connected.request(method, path, None if body is None else json.dumps(body), {**content, **headers})
            return connected.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise EngineUnavailableError(f"no container engine answers at {self._address} ({error})") from error


_CHUNK = 1 << 16

#: Exit status of what was ended with SIGKILL, as all processes of a container are when its first one ends.
_KILLED = 128 + signal.SIGKILL
_ENDING_SECONDS = 1.0

_NO_END = (
    "DOCKER_HOST names an engine behind TLS, over which the end of a command's input cannot be told; only an agent can "
    "run commands there, and it needs Python in the build container"
)


class Exec:
    """Commands in the containers of one engine."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session

    def run(
        self,
        container: str,
        argv: list[str],
        *,
        stdin: Iterable[bytes] = (),
        take: Callable[[int, bytes], None],
        user: str = "",
    ) -> int:
        """Run ``argv`` in ``container`` and wait for its end.

        Args:
            container: Name or ID of a running container.
            argv: The command and its arguments; no shell is added.
            stdin: What the command reads, in pieces; it sees the end after the last one.
            take: Called with 1 (standard output) or 2 (standard error) and the bytes, as they come.
            user: ``name``, ``uid`` or ``uid:gid``; empty for the container's own.

        Returns:
            The exit status.

        Raises:
            ContainerGoneError: The container is not running, or ended before the command did.
            EngineError: The engine refused the command.
        """
        with translated(f"running a command in container {container}"):
            frames = Frames(take)
            with self.started(container, argv, user) as command:
                if not command.can_tell_the_end:
                    raise EngineError(_NO_END)
                frames.feed(command.ahead)
                _converse(command.socket, iter(stdin), frames.feed)
            code = command.status()
        if code in {None, _KILLED} and self.ends(container):
            raise ContainerGoneError(self.why_gone(container))
        if code is None:
            raise EngineError(
                f"the engine has lost track of a command in build container {container}, which still runs; the engine "
                "was started again meanwhile: start the playbook again"
            )
        return code

    @contextlib.contextmanager
    def started(self, container: str, argv: list[str], user: str) -> Iterator[StartedCommand]:
        """Start a command, and let go of its stream at the end of the ``with`` statement.

        Args:
            container: Name or ID of a running container.
            argv: The command and its arguments.
            user: ``name``, ``uid`` or ``uid:gid``; empty for the container's own.

        Raises:
            ContainerGoneError: The container is not running.
            EngineError: The engine refused the command.
        """
        try:
            with translated(f"running a command in container {container}"):
                exec_id = self._session.api.exec_create(container, argv, stdin=True, user=user)["Id"]
                stream = self._session.api.exec_start(exec_id, socket=True)
        except RefusedError as error:
            # Engines refuse a container that does not run with 404, 409 or 500; what became of it is what counts.
            if self.ends(container):
                raise ContainerGoneError(self.why_gone(container)) from error
            raise
        try:
            ahead = read_ahead(stream)
            yield StartedCommand(
                bridged(stream), ahead, can_tell_the_end(stream), lambda: self._status(container, exec_id)
            )
        finally:
            # The SDK hangs the response on its socket; closing the socket alone makes Python 3.13 complain about it.
            getattr(stream, "_response", stream).close()

    def user_of(self, container: str) -> str:
        """The user that a container's commands run as unless they say otherwise; empty for root.

        Raises:
            EngineError: There is no such container, or the engine does not answer.
        """
        if speaks(self._session.address):
            return DirectExec(self._session.address).user_of(container)
        with translated(f"looking at build container {container}"):
            return str(self._session.api.inspect_container(container)["Config"].get("User") or "")

    def attach(self, container: str, argv: list[str], user: str) -> contextlib.AbstractContextManager[StartedCommand]:
        """Start a command as :meth:`started` does, without the SDK where the engine can be reached without it.

        Its import takes longer than everything else that starts an agent.
        """
        if speaks(self._session.address):
            return DirectExec(self._session.address).started(container, argv, user)
        return self.started(container, argv, user)

    def why_gone(self, container: str) -> str:
        """Say in a sentence what became of a container that does not run any more.

        Raises:
            EngineError: The engine does not answer.
        """
        try:
            with translated(f"looking at container {container}"):
                state = self._session.api.inspect_container(container)["State"]
                status, code = state.get("Status"), state.get("ExitCode")
        except MissingError:
            return f"build container {container} does not exist any more; somebody removed it"
        if state.get("OOMKilled"):
            return f"build container {container} was ended by the kernel: it ran out of memory"
        return f"build container {container} is {status} (exit status {code})"

    def ends(self, container: str) -> bool:
        """Say whether a container has ended or is about to: its processes are killed a moment before it is said to.

        Raises:
            EngineError: The engine does not answer.
        """
        until = time.monotonic() + _ENDING_SECONDS
        while time.monotonic() < until:
            try:
                with translated(f"looking at container {container}"):
                    if not self._session.api.inspect_container(container)["State"]["Running"]:
                        return True
            except MissingError:
                return True
            time.sleep(_ENDING_SECONDS / 10)
        return False

    def _status(self, container: str, exec_id: str) -> int | None:
        """Ask how a command ended; the engine may learn of its end a moment after the end of its stream.

        A Podman service that was started again says of every command of the one before that it runs, with status 0.
        """
        until = time.monotonic() + _ENDING_SECONDS
        while True:
            try:
                with translated(f"running a command in container {container}"):
                    found = self._session.api.exec_inspect(exec_id)
                    running, code = found["Running"], found["ExitCode"]
            except MissingError:
                return None  # with its container
            if not running:
                return None if code is None else int(code)
            if time.monotonic() > until:
                return None
            time.sleep(_ENDING_SECONDS / 20)


def _converse(sock: socket.socket, stdin: Iterator[bytes], feed: Callable[[bytes], None]) -> None:
    """Send and receive at once: a command that writes while it reads must not wait for us."""
    unsent: memoryview | None = memoryview(b"")
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        while True:
            for _key, events in selector.select():
                if events & selectors.EVENT_WRITE and unsent is not None:
                    unsent = _send(sock, unsent, stdin)
                    if unsent is None:
                        selector.modify(sock, selectors.EVENT_READ)
                if events & selectors.EVENT_READ:
                    data = _receive(sock)
                    if not data:
                        return
                    feed(data)


def _receive(sock: socket.socket) -> bytes:
    """Receive a piece; empty at the end."""
    try:
        return sock.recv(_CHUNK)
    except ConnectionResetError:
        # The other end closed with input of ours unread. It is told once, ahead of what was sent before.
        with contextlib.suppress(ConnectionResetError):
            return sock.recv(_CHUNK)
        return b""


def _send(sock: socket.socket, unsent: memoryview, stdin: Iterator[bytes]) -> memoryview | None:
    """Send a piece; ``None`` after the last one, when our half is closed."""
    try:
        if not unsent:
            piece = next(stdin, None)
            if piece is None:
                sock.shutdown(socket.SHUT_WR)
                return None
            unsent = memoryview(piece)
        return unsent[sock.send(unsent) :]
    except (BrokenPipeError, ConnectionResetError):
        return None  # the command ended without reading everything, which is its right
