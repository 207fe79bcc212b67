# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Containers of finished images: start them in the way a user does, inspect them, and stop them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from . import containers
from .api_errors import RefusedError, translate_errors
from .container_info import inspect_container
from .containers import Containers
from .image_ids import ImageNames
from .session import EngineSession
from .system import System

_NO_NETWORK = "none"


class ContainerSettings(msgspec.Struct, frozen=True):
    """How to start one container of an image. If a field is empty, the setting of the image applies."""

    #: ID of the image.
    image: str
    labels: Mapping[str, str]
    #: Environment variables in addition to those of the image.
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    #: ``name``, ``uid`` or ``uid:gid``.
    user: str = ""
    #: Used in place of the image's ``CMD``.
    command: Sequence[str] = ()
    #: Whether only ``command`` runs, without entrypoint, command and health check of the image.
    bare: bool = False
    #: Network name to the names of the container in this network. If empty, the container has no network.
    networks: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    #: Options of resolv.conf(5).
    dns_options: Sequence[str] = ()
    #: Mounts, in the format of the Engine API.
    mounts: Sequence[Any] = ()
    #: Restrictions in addition to those of the engine, as arguments for ``create_host_config`` of the SDK.
    restrictions: Mapping[str, Any] = msgspec.field(default_factory=dict)


class ServiceState(msgspec.Struct, frozen=True):
    """The state of a container."""

    running: bool
    #: Exit status; ``None`` while it runs.
    exit_code: int | None
    #: ``starting``, ``healthy`` or ``unhealthy``; ``None`` if the image has no health check.
    health: str | None
    #: IP address by network name.
    addresses: Mapping[str, str]


def sandbox_restrictions(system: System, memory: int, processes: int, tmpfs: int) -> dict[str, Any]:
    """Return the restrictions of a container for programs that nobody trusts.

    It has a read-only root folder, no capabilities, and cannot get any. A limit that the engine cannot set is left out.

    Args:
        system: The engine.
        memory: Limit of its memory, in bytes.
        processes: Limit of its number of processes.
        tmpfs: Size in bytes of ``/tmp``, the only place that it can write to.

    Raises:
        EngineError: The engine does not answer.
    """
    missing = system.missing_limits()
    return {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "tmpfs": {"/tmp": f"size={tmpfs},mode=1777,nosuid,nodev"},  # noqa: S108 - of the container
        "privileged": False,
        **({} if "memory" in missing else {"mem_limit": memory, "memswap_limit": memory}),
        **({} if "processes" in missing else {"pids_limit": processes}),
    }


class Services:
    """Containers of one engine that run in the way a user runs them."""

    def __init__(self, session: EngineSession, containers: Containers, image_names: ImageNames) -> None:
        """Use this session, these containers and these image names."""
        self._session, self._containers, self._image_names = session, containers, image_names

    def start(self, settings: ContainerSettings) -> str:
        """Start a container with the default rights of the engine.

        Args:
            settings: How to start it.

        Returns:
            ID of the container.

        Raises:
            EngineError: The engine rejected a request, or the image does not have the program.
        """
        first, *others = settings.networks or (_NO_NETWORK,)
        action, api = f"starting a container of image {settings.image}", self._session.api
        with translate_errors(action):
            aliases = list(settings.networks.get(first, ())) or None
            endpoint = api.create_endpoint_config(aliases=aliases)
            container = str(
                api.create_container(
                    self._image_names.engine_name(settings.image),
                    command=None if settings.bare else list(settings.command) or None,
                    entrypoint=list(settings.command) if settings.bare else None,
                    user=settings.user or None,
                    environment=dict(settings.environment),
                    labels=dict(settings.labels),
                    healthcheck={"test": ["NONE"]} if settings.bare else None,
                    host_config=api.create_host_config(
                        network_mode=first,
                        dns_opt=list(settings.dns_options) or None,
                        mounts=list(settings.mounts) or None,
                        **settings.restrictions,
                    ),
                    networking_config={"EndpointsConfig": {first: endpoint}} if aliases else None,
                )["Id"]
            )
        try:
            with translate_errors(action):
                for network in others:
                    api.connect_container_to_network(container, network)
                api.start(container)
        except RefusedError:
            self._containers.remove(container)
            raise
        return container

    def state(self, container: str) -> ServiceState:
        """Return the state of a container.

        Raises:
            EngineError: The container does not exist, or the engine does not answer.
        """
        info = inspect_container(self._session, container)
        state = info["State"]
        networks = info["NetworkSettings"].get("Networks") or {}
        return ServiceState(
            running=bool(state["Running"]),
            exit_code=None if state["Running"] else int(state["ExitCode"]),
            health=(state.get("Health") or {}).get("Status") or None,
            addresses={name: entry["IPAddress"] for name, entry in networks.items() if entry.get("IPAddress")},
        )

    def logs(self, container: str, lines: int | None = None) -> str:
        """Read the log of a container: standard output and error.

        Args:
            container: The container.
            lines: Number of the last lines to read; ``None`` for all.

        Raises:
            EngineError: The container does not exist, or the engine does not answer.
        """
        with translate_errors(f"reading the log of container {container}"):
            log: bytes = self._session.api.logs(
                container, stdout=True, stderr=True, tail="all" if lines is None else lines
            )
        return log.decode(errors="replace")

    def stop(self, container: str, timeout: int) -> None:
        """Ask a container to end, and kill it after ``timeout`` seconds if it has not ended.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors(f"stopping container {container}"):
            self._session.api.stop(container, timeout=timeout)

    def processes(self, container: str) -> list[tuple[int, str]]:
        """List the processes of a container. The image need not have ``ps``.

        Returns:
            Pairs of user ID and command line; empty if the container has ended.

        Raises:
            EngineError: The engine rejected the request.
        """
        try:
            processes = containers.processes_of(self._session, container)
            return [(process.user, process.command) for process in processes]
        except RefusedError:
            if self.state(container).running:
                raise
            return []
