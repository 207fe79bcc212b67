# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Containers of finished images: started as users start them, looked at, and stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import containers
from .api_errors import RefusedError, translated
from .containers import Containers
from .image_ids import Naming
from .session import EngineSession

_NO_NETWORK = "none"


@dataclass(frozen=True, slots=True)
class Setting:
    """How one container of an image is started; what is empty is as the image says."""

    #: ID of the image.
    image: str
    labels: Mapping[str, str]
    #: Environment besides the image's.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: ``name``, ``uid`` or ``uid:gid``.
    user: str = ""
    #: In place of the image's ``CMD``.
    command: Sequence[str] = ()
    #: Whether command and health check of the image are out of the way, and ``command`` is all that runs.
    bare: bool = False
    #: Networks and the container's names there; none leaves it without.
    networks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: Options of resolv.conf(5).
    resolving: Sequence[str] = ()
    #: Mounts, as the Engine API writes them.
    mounts: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What the engine says of a container."""

    running: bool
    #: Exit status; ``None`` while it runs.
    exit_code: int | None
    #: ``starting``, ``healthy`` or ``unhealthy``; ``None`` where the image has no health check.
    health: str | None
    #: Its addresses, by network.
    addresses: Mapping[str, str]


class Services:
    """Containers of one engine that run as users run them."""

    def __init__(self, session: EngineSession, containers: Containers, naming: Naming) -> None:
        """Take the way to the engine, its containers, and what it calls images."""
        self._session, self._containers, self._naming = session, containers, naming

    def start(self, setting: Setting) -> str:
        """Start a container with the rights that the engine gives to every container, and none besides.

        Args:
            setting: How.

        Returns:
            Its ID.

        Raises:
            EngineError: The engine refused, or the image has no such program.
        """
        first, *others = setting.networks or (_NO_NETWORK,)
        doing, api = f"starting a container of image {setting.image}", self._session.api
        with translated(doing):
            aliases = list(setting.networks.get(first, ())) or None
            endpoint = api.create_endpoint_config(aliases=aliases)
            made = str(
                api.create_container(
                    self._naming.theirs(setting.image),
                    command=None if setting.bare else list(setting.command) or None,
                    entrypoint=list(setting.command) if setting.bare else None,
                    user=setting.user or None,
                    environment=dict(setting.environment),
                    labels=dict(setting.labels),
                    healthcheck={"test": ["NONE"]} if setting.bare else None,
                    host_config=api.create_host_config(
                        network_mode=first, dns_opt=list(setting.resolving) or None, mounts=list(setting.mounts) or None
                    ),
                    networking_config={"EndpointsConfig": {first: endpoint}} if aliases else None,
                )["Id"]
            )
        try:
            with translated(doing):
                for network in others:
                    api.connect_container_to_network(made, network)
                api.start(made)
        except RefusedError:
            self._containers.remove(made)
            raise
        return made

    def state(self, container: str) -> ServiceState:
        """Ask what became of a container.

        Raises:
            EngineError: It is gone, or the engine does not answer.
        """
        with translated(f"looking at container {container}"):
            found = self._session.api.inspect_container(container)
        told = found["State"]
        networks = found["NetworkSettings"].get("Networks") or {}
        return ServiceState(
            running=bool(told["Running"]),
            exit_code=None if told["Running"] else int(told["ExitCode"]),
            health=(told.get("Health") or {}).get("Status") or None,
            addresses={name: each["IPAddress"] for name, each in networks.items() if each.get("IPAddress")},
        )

    def logs(self, container: str, lines: int | None = None) -> str:
        """Read what a container wrote, on both of its streams.

        Args:
            container: The container.
            lines: The last ones only; ``None`` for all.

        Raises:
            EngineError: It is gone, or the engine does not answer.
        """
        with translated(f"reading the log of container {container}"):
            told: bytes = self._session.api.logs(
                container, stdout=True, stderr=True, tail="all" if lines is None else lines
            )
        return told.decode(errors="replace")

    def stop(self, container: str, timeout: int) -> None:
        """Ask a container to end, and kill it where it has not after ``timeout`` seconds.

        Raises:
            EngineError: The engine refused.
        """
        with translated(f"stopping container {container}"):
            self._session.api.stop(container, timeout=timeout)

    def processes(self, container: str) -> list[tuple[int, str]]:
        """List what runs in a container, whatever programs its image has.

        Returns:
            Pairs of numeric user and command line; none where the container has ended.

        Raises:
            EngineError: The engine refused.
        """
        try:
            return [(each.user, each.command) for each in containers.processes_of(self._session, container)]
        except RefusedError:
            if self.state(container).running:
                raise
            return []
