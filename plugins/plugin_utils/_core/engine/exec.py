# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running commands in containers, with separate standard input, output and error.

If the engine is :func:`.api_requests.reachable_directly`, a command can also be started without the SDK
(:class:`DirectExec`). Importing the SDK takes longer than all other steps of starting an agent. The calls are those of
the Engine API, which Podman supports too: ``POST /containers/{id}/exec`` and ``POST /exec/{id}/start``.
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

from ..errors import ContainerGoneError, EngineError, EngineUnavailableError, wrap_errors
from .api_errors import MissingError, RefusedError, StatusError, translate_errors
from .api_requests import connection, error_response, reachable_directly
from .container_info import inspect_container
from .session import EngineSession
from .streams import Frames, StartedCommand, as_socket, can_end_input, read_ahead, read_buffered


class DirectExec:
    """Commands in the containers of one engine, without the SDK."""

    def __init__(self, address: str) -> None:
        """Use this address, which must be :func:`.api_requests.reachable_directly`. Nothing is opened yet."""
        self._address = address

    def user_of(self, container: str) -> str:
        """Return the default user of commands in a container; empty for root.

        Raises:
            EngineError: The container does not exist.
            EngineUnavailableError: The engine does not answer.
        """
        with self._wrap_errors():
            return str(
                self._request("GET", f"/containers/{quote(container, safe='')}/json")["Config"].get("User") or ""
            )

    @contextlib.contextmanager
    def started(self, container: str, argv: list[str], user: str) -> Iterator[StartedCommand]:
        """Start a command, and close its stream at the end of the ``with`` statement.

        Args:
            container: Name or ID of a running container.
            argv: The command and its arguments.
            user: ``name``, ``uid`` or ``uid:gid``.

        Raises:
            EngineError: The engine rejected the command: the container is not running, or does not exist.
            EngineUnavailableError: The engine does not answer.
        """
        streams = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
        body = {"Cmd": argv, "User": user, "Tty": False, **streams}
        with self._wrap_errors():
            exec_id = str(self._request("POST", f"/containers/{quote(container, safe='')}/exec", body)["Id"])
        with contextlib.closing(connection(self._address)) as connected:
            upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
            answer = self._send(connected, "POST", f"/exec/{exec_id}/start", {"Detach": False, "Tty": False}, upgrade)
            if answer.status not in {HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.OK}:
                raise EngineError(
                    error_response(self._address, f"/exec/{exec_id}/start", StatusError(answer.status, answer.read()))
                )
            sock = connected.sock
            yield StartedCommand(
                sock, read_buffered(answer.fp, sock), can_end_input=True, status=lambda: self._status(exec_id)
            )

    def _status(self, exec_id: str) -> int | None:
        with self._wrap_errors():
            info = self._request("GET", f"/exec/{exec_id}/json")
            return None if info["Running"] else info["ExitCode"]

    def _wrap_errors(self) -> contextlib.AbstractContextManager[None]:
        return wrap_errors(f"the engine at {self._address}: its answer cannot be understood", EngineError)

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        with contextlib.closing(connection(self._address)) as connected:
            answer = self._send(connected, method, path, body, {})
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise EngineError(error_response(self._address, path, StatusError(answer.status, answer.read())))
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

#: Exit status after SIGKILL. All processes of a container get this signal when its first process ends.
_KILLED = 128 + signal.SIGKILL
_ENDING_SECONDS = 1.0
#: States of Podman's containers between the end of their processes and the record of their exit status.
_ENDING = frozenset({"stopping", "stopped", "removing"})

_CANNOT_END_INPUT = (
    "DOCKER_HOST names an engine behind TLS, and over TLS the end of a command's input cannot be sent; only an agent "
    "can run commands there, and the agent needs Python in the build container"
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
        """Run a command in a container and wait for its end.

        Args:
            container: Name or ID of a running container.
            argv: The command and its arguments; no shell is added.
            stdin: Standard input, in chunks. It is closed after the last chunk.
            take: Called with 1 (standard output) or 2 (standard error) and the bytes, whenever bytes arrive.
            user: ``name``, ``uid`` or ``uid:gid``; empty for the default user of the container.

        Returns:
            The exit status.

        Raises:
            ContainerGoneError: The container is not running, or ended before the command did.
            EngineError: The engine rejected the command, or does not know how it ended.
        """
        with translate_errors(f"running a command in container {container}"):
            frames = Frames(take)
            with self.started(container, argv, user) as command:
                if not command.can_end_input:
                    raise EngineError(_CANNOT_END_INPUT)
                frames.feed(command.ahead)
                _converse(command.socket, iter(stdin), frames.feed)
            code = command.status()
        return self.known_status(container, code)

    def known_status(self, container: str, code: int | None) -> int:
        """Return the exit status of a command that has ended.

        Args:
            container: Name or ID of the container.
            code: What the engine reports; ``None`` if it does not know the status.

        Raises:
            ContainerGoneError: The container ended before the command did.
            EngineError: The engine does not know how it ended.
        """
        if code in {None, _KILLED} and self.ends(container):
            raise ContainerGoneError(self.why_gone(container))
        if code is None:
            raise EngineError(
                f"the engine does not know how a command in build container {container} ended, although the container "
                "runs; the engine was restarted during the command: start the playbook again"
            )
        return code

    @contextlib.contextmanager
    def started(self, container: str, argv: list[str], user: str) -> Iterator[StartedCommand]:
        """Start a command, and close its stream at the end of the ``with`` statement.

        Args:
            container: Name or ID of a running container.
            argv: The command and its arguments.
            user: ``name``, ``uid`` or ``uid:gid``; empty for the default user of the container.

        Raises:
            ContainerGoneError: The container is not running.
            EngineError: The engine rejected the command.
        """
        try:
            with translate_errors(f"running a command in container {container}"):
                exec_id = self._session.api.exec_create(container, argv, stdin=True, user=user)["Id"]
                stream = self._session.api.exec_start(exec_id, socket=True)
        except RefusedError as error:
            # If the container is not running, engines answer with 404, 409 or 500. So look at the container itself.
            if self.ends(container):
                raise ContainerGoneError(self.why_gone(container)) from error
            raise
        try:
            ahead = read_ahead(stream)
            yield StartedCommand(
                as_socket(stream), ahead, can_end_input(stream), lambda: self._status(container, exec_id)
            )
        finally:
            # The SDK attaches the response to its socket. If only the socket is closed, Python 3.13 warns about the
            # response.
            getattr(stream, "_response", stream).close()

    def user_of(self, container: str) -> str:
        """Return the default user of commands in a container; empty for root.

        Raises:
            EngineError: The container does not exist, or the engine does not answer.
        """
        if reachable_directly(self._session.address):
            return DirectExec(self._session.address).user_of(container)
        with translate_errors(f"looking at build container {container}"):
            return str(self._session.api.inspect_container(container)["Config"].get("User") or "")

    def attach(self, container: str, argv: list[str], user: str) -> contextlib.AbstractContextManager[StartedCommand]:
        """Start a command as :meth:`started` does, but without the SDK where that is possible."""
        if reachable_directly(self._session.address):
            return DirectExec(self._session.address).started(container, argv, user)
        return self.started(container, argv, user)

    def why_gone(self, container: str) -> str:
        """Return a sentence that says why a container is not running any more.

        It waits a moment for the end of a container that is about to end: Podman does not know its exit status before.

        Raises:
            EngineError: The engine does not answer.
        """
        until = time.monotonic() + _ENDING_SECONDS
        try:
            with translate_errors(f"looking at container {container}"):
                state = inspect_container(self._session, container)["State"]
                while state.get("Status") in _ENDING and time.monotonic() < until:
                    time.sleep(_ENDING_SECONDS / 20)
                    state = inspect_container(self._session, container)["State"]
                status, code = state.get("Status"), state.get("ExitCode")
        except MissingError:
            return f"build container {container} does not exist any more; it was removed"
        if state.get("OOMKilled"):
            return f"build container {container} was killed by the kernel: it ran out of memory"
        return f"build container {container} is {status} (exit status {code})"

    def ends(self, container: str) -> bool:
        """Say whether a container has ended or is about to end.

        Its processes are killed a moment before the engine reports its end, so this waits up to a second.

        Raises:
            EngineError: The engine does not answer.
        """
        until = time.monotonic() + _ENDING_SECONDS
        while time.monotonic() < until:
            try:
                with translate_errors(f"looking at container {container}"):
                    if not inspect_container(self._session, container)["State"]["Running"]:
                        return True
            except MissingError:
                return True
            time.sleep(_ENDING_SECONDS / 10)
        return False

    def _status(self, container: str, exec_id: str) -> int | None:
        """Return the exit status of a command; ``None`` if the engine does not know it.

        The engine may notice the end a moment after the end of the stream. A restarted Podman service reports every
        older command as running, with status 0.
        """
        until = time.monotonic() + _ENDING_SECONDS
        while True:
            try:
                with translate_errors(f"running a command in container {container}"):
                    info = self._session.api.exec_inspect(exec_id)
                    running, code = info["Running"], info["ExitCode"]
            except MissingError:
                return None  # the container is gone too
            if not running:
                return None if code is None else int(code)
            if time.monotonic() > until:
                return None
            time.sleep(_ENDING_SECONDS / 20)


def _converse(sock: socket.socket, stdin: Iterator[bytes], feed: Callable[[bytes], None]) -> None:
    """Send and receive at the same time: a command that writes while it reads must not block."""
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
    """Receive a chunk; empty at the end."""
    try:
        return sock.recv(_CHUNK)
    except ConnectionResetError:
        # The other side closed before it read all input. The kernel reports this once, before the data that it sent
        # earlier.
        with contextlib.suppress(ConnectionResetError):
            return sock.recv(_CHUNK)
        return b""


def _send(sock: socket.socket, unsent: memoryview, stdin: Iterator[bytes]) -> memoryview | None:
    """Send a chunk. Returns the unsent rest; ``None`` after the last chunk, when our side is closed."""
    try:
        if not unsent:
            chunk = next(stdin, None)
            if chunk is None:
                sock.shutdown(socket.SHUT_WR)
                return None
            unsent = memoryview(chunk)
        return unsent[sock.send(unsent) :]
    except (BrokenPipeError, ConnectionResetError):
        return None  # the command ended without reading all input, which is allowed
