# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the fixtures need of the containers under test, without an engine.

There are two implementations. Tests of the own team use the engine directly (:mod:`.session_containers`). Tests of
other teams run in a sandbox, and ask a broker for everything (:mod:`.inside.remote_containers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class ImageUnderTest:
    """The image under test."""

    #: ``sha256:…`` of its configuration.
    id: str
    #: The tier that it belongs to.
    tier: str
    labels: Mapping[str, str]
    #: Its runtime configuration, as in ``Config`` of ``docker inspect``.
    config: Mapping[str, Any]
    #: Digests of its layers, the base's first.
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContainerState:
    """The state of a container."""

    running: bool
    #: Exit status; ``None`` while it runs.
    exit_code: int | None
    #: ``starting``, ``healthy`` or ``unhealthy``; ``None`` without a health check.
    health: str | None
    #: IP address on the session's private network; empty if it has none.
    address: str


class CommandOutput(NamedTuple):
    """The result of a command in a container."""

    code: int
    stdout: bytes
    stderr: bytes


class HttpAnswer(NamedTuple):
    """The answer of a server."""

    status: int
    #: The names of header fields are case-insensitive.
    headers: Message
    body: str


class HttpRequest(NamedTuple):
    """A request to a server in a container."""

    method: str
    #: Path and query.
    path: str
    port: int
    headers: Mapping[str, str]
    body: str | None
    #: Time limit until the answer begins, in seconds.
    timeout: float


class ContainerUnderTest(Protocol):
    """One container. All methods raise an ``EngineError`` if the engine rejects a request."""

    #: The container's ID.
    id: str
    #: The tier that its image belongs to.
    tier: str
    #: Its name on the private network.
    alias: str
    #: Runtime configuration of its image.
    config: Mapping[str, Any]

    def run(self, argv: Sequence[str]) -> CommandOutput:
        """Run a command in the container."""

    def state(self) -> ContainerState:
        """Return its state."""

    def logs(self, lines: int | None = None) -> str:
        """Return its output on both streams, or only the last lines."""

    def processes(self) -> list[tuple[int, str]]:
        """Return user ID and command line of its processes."""

    def stop(self, timeout: int) -> None:
        """Stop it, and kill it after ``timeout`` seconds."""

    def send(self, request: HttpRequest) -> HttpAnswer:
        """Send a request to a server in it.

        Raises:
            OSError: No server listens on the port, or it does not answer in time.
        """


class ContainerSource(Protocol):
    """Starts the containers of one test session."""

    @property
    def image(self) -> ImageUnderTest:
        """The image under test."""

    def idle(self) -> ContainerUnderTest:
        """Return the idle container of the image under test, in which commands run as root."""

    def start(
        self,
        tier: str | None = None,
        *,
        env: Mapping[str, str] | None = None,
        alias: str | None = None,
        user: str | None = None,
        command: Sequence[str] | None = None,
    ) -> ContainerUnderTest:
        """Start the image under test or a neighbour, as its users do."""

    def remove(self, container: ContainerUnderTest) -> None:
        """Remove a container that was started."""

    def close(self) -> None:
        """Remove all containers of the session."""
