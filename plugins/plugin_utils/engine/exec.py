# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running one command in a container, with its three streams kept apart, through the SDK."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator

import docker

from ..errors import ContainerGoneError, EngineError
from .bridge import bridged, can_tell_the_end, read_ahead
from .client import translated
from .stream import Frames, Started

_CHUNK = 1 << 16

#: Exit status of what was ended with SIGKILL, as all processes of a container are when its first one ends.
_KILLED = 128 + signal.SIGKILL
_ENDING_SECONDS = 1.0


def run(
    client: docker.DockerClient,
    container: str,
    argv: list[str],
    *,
    stdin: Iterable[bytes] = (),
    take: Callable[[int, bytes], None],
    user: str = "",
) -> int:
    """Run ``argv`` in ``container`` and wait for its end.

    Args:
        client: The engine.
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
        with started(client, container, argv, user) as command:
            if not command.can_tell_the_end:
                raise EngineError(
                    "DOCKER_HOST names an engine behind TLS, over which the end of a command's input cannot be told; "
                    "only an agent can run commands there, and it needs Python in the build container"
                )
            frames.feed(command.ahead)
            _converse(command.socket, iter(stdin), frames.feed)
        code = command.status()
    if code in {None, _KILLED} and ends(client, container):
        raise ContainerGoneError(why_gone(client, container))
    if code is None:
        raise EngineError(
            f"the engine has lost track of a command in build container {container}, which still runs; the engine was "
            "started again meanwhile: start the playbook again"
        )
    return code


@contextlib.contextmanager
def started(client: docker.DockerClient, container: str, argv: list[str], user: str) -> Iterator[Started]:
    """Start a command, and let go of its stream at the end of the ``with`` statement.

    Args:
        client: The engine.
        container: Name or ID of a running container.
        argv: The command and its arguments.
        user: ``name``, ``uid`` or ``uid:gid``; empty for the container's own.

    Raises:
        ContainerGoneError: The container is not running.
        EngineError: The engine refused the command.
    """
    doing = f"running a command in container {container}"
    with translated(doing):
        try:
            exec_id = client.api.exec_create(container, argv, stdin=True, user=user)["Id"]
            stream = client.api.exec_start(exec_id, socket=True)
        except docker.errors.APIError as error:
            # Engines refuse a container that does not run with 404, 409 or 500; what became of it is what counts.
            if ends(client, container):
                raise ContainerGoneError(why_gone(client, container)) from error
            raise
    try:
        ahead = read_ahead(stream)
        yield Started(bridged(stream), ahead, can_tell_the_end(stream), lambda: _status(client, exec_id))
    finally:
        # The SDK hangs the response on its socket; closing the socket alone makes Python 3.13 complain about it.
        getattr(stream, "_response", stream).close()


def _status(client: docker.DockerClient, exec_id: str) -> int | None:
    """Ask how a command ended; the engine may learn of its end a moment after the end of its stream.

    A Podman service that was started again says of every command of the one before that it runs, with status 0.
    """
    until = time.monotonic() + _ENDING_SECONDS
    while True:
        try:
            found = client.api.exec_inspect(exec_id)
        except docker.errors.NotFound:
            return None  # with its container
        if not found["Running"]:
            return None if found["ExitCode"] is None else int(found["ExitCode"])
        if time.monotonic() > until:
            return None
        time.sleep(_ENDING_SECONDS / 20)


def why_gone(client: docker.DockerClient, container: str) -> str:
    """Say in a sentence what became of a container that does not run any more."""
    with translated(f"looking at container {container}"):
        try:
            state = client.api.inspect_container(container)["State"]
        except docker.errors.NotFound:
            return f"build container {container} does not exist any more; somebody removed it"
    if state.get("OOMKilled"):
        return f"build container {container} was ended by the kernel: it ran out of memory"
    return f"build container {container} is {state.get('Status')} (exit status {state.get('ExitCode')})"


def ends(client: docker.DockerClient, container: str) -> bool:
    """Say whether a container has ended or is about to: its processes are killed a moment before it is said to."""
    until = time.monotonic() + _ENDING_SECONDS
    while time.monotonic() < until:
        try:
            if not client.api.inspect_container(container)["State"]["Running"]:
                return True
        except docker.errors.NotFound:
            return True
        time.sleep(_ENDING_SECONDS / 10)
    return False


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
