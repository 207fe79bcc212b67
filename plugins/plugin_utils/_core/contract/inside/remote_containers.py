# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The containers under test, as a sandbox reaches them: through the broker."""

from __future__ import annotations

import base64
import itertools
import json
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from email.message import Message
from typing import Any

from ... import errors
from ..container_operations import CommandOutput, ContainerState, HttpAnswer, HttpRequest, ImageUnderTest
from . import messages


class BrokerLink:
    """The connection to the broker. Several threads may use it."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        """Take the function that writes to the broker."""
        self._write, self._lock = write, threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[Any]] = {}

    def send(self, kind: int, value: Any, channel: int = 0) -> None:
        """Send a message."""
        content = messages.frames_of(channel, kind, json.dumps(value).encode())
        with self._lock:
            self._write(content)

    def call(self, operation: str, **arguments: Any) -> Any:
        """Ask for an operation, and wait for its result.

        Raises:
            TierwrightError: The broker refuses it, or it failed.
            OSError: A server in a container does not answer.
        """
        number, answers = next(self._numbers), queue.SimpleQueue[Any]()
        self._waiting[number] = answers
        try:
            self.send(messages.CALL, {"operation": operation, **arguments}, number)
            answer = answers.get()
        finally:
            del self._waiting[number]
        if "error" not in answer:
            return answer["value"]
        kind = OSError if answer["error"] == "OSError" else getattr(errors, answer["error"], errors.EngineError)
        raise kind(answer["message"])

    def take(self, channel: int, kind: int, message: bytes) -> None:
        """Take a message of the broker."""
        if kind == messages.ANSWER and channel in self._waiting:
            self._waiting[channel].put(json.loads(message))


class RemoteContainer:
    """One container; see :class:`..container_operations.ContainerUnderTest`."""

    def __init__(self, link: BrokerLink, info: Mapping[str, Any]) -> None:
        """Take the connection, and the properties of the container."""
        self._link = link
        self.id: str = info["id"]
        self.tier: str = info["tier"]
        self.alias: str = info["alias"]
        self.config: Mapping[str, Any] = info["config"]

    def run(self, argv: Sequence[str]) -> CommandOutput:
        """Run a command in the container."""
        code, stdout, stderr = self._link.call("run", container=self.id, argv=list(argv))
        return CommandOutput(code, base64.b64decode(stdout), base64.b64decode(stderr))

    def state(self) -> ContainerState:
        """Return its state."""
        return ContainerState(**self._link.call("state", container=self.id))

    def logs(self, lines: int | None = None) -> str:
        """Return its output on both streams, or only the last lines."""
        text: str = self._link.call("logs", container=self.id, lines=lines)
        return text

    def processes(self) -> list[tuple[int, str]]:
        """Return user ID and command line of its processes."""
        return [(uid, command) for uid, command in self._link.call("processes", container=self.id)]

    def stop(self, timeout: int) -> None:
        """Stop it, and kill it after ``timeout`` seconds."""
        self._link.call("stop", container=self.id, timeout=timeout)

    def send(self, request: HttpRequest) -> HttpAnswer:
        """Send a request to a server in it.

        Raises:
            OSError: No server listens on the port, or it does not answer in time.
        """
        fields = {**request._asdict(), "headers": {key: str(value) for key, value in request.headers.items()}}
        status, headers, body = self._link.call("send", container=self.id, request=fields)
        message = Message()
        for name, value in headers:
            message.add_header(name, value)
        return HttpAnswer(status, message, body)


class RemoteContainers:
    """The containers of a session; see :class:`..container_operations.ContainerSource`."""

    def __init__(self, link: BrokerLink) -> None:
        """Take the connection."""
        self._link = link
        self._image: ImageUnderTest | None = None

    @property
    def image(self) -> ImageUnderTest:
        """The image under test."""
        if self._image is None:
            info = self._link.call("image")
            self._image = ImageUnderTest(**{**info, "layers": tuple(info["layers"])})
        return self._image

    def idle(self) -> RemoteContainer:
        """Return the idle container of the image under test, in which commands run as root."""
        return RemoteContainer(self._link, self._link.call("idle"))

    def start(
        self,
        tier: str | None = None,
        *,
        env: Mapping[str, str] | None = None,
        alias: str | None = None,
        user: str | None = None,
        command: Sequence[str] | None = None,
    ) -> RemoteContainer:
        """Start the image under test or a neighbour, as its users do."""
        environment = {str(key): str(value) for key, value in (env or {}).items()}
        words = None if command is None else [str(word) for word in command]
        info = self._link.call("start", tier=tier, env=environment, alias=alias, user=user, command=words)
        return RemoteContainer(self._link, info)

    def remove(self, container: Any) -> None:
        """Remove a container that was started."""
        self._link.call("remove", container=container.id)

    def close(self) -> None:
        """Do nothing: the broker removes the containers at the end of the session."""
