# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Docker Swarm in the engine: its state, services, their containers (tasks), networks and secrets."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import EngineError
from .api_errors import MissingError, require_list, translate_errors
from .session import EngineSession

_LOOPBACK = "127.0.0.1"
#: The version of the API since which a health check has ``StartInterval``.
_TWO_INTERVALS = (1, 44)


class SwarmState(msgspec.Struct, frozen=True):
    """What an engine says about Swarm."""

    #: ``active``, ``inactive``, ``pending``, ``error`` or ``locked``; Podman has none, and is ``inactive``.
    name: str
    #: Whether the engine is a manager.
    is_manager: bool
    #: ID of the engine's machine in the Swarm; empty without one.
    machine: str
    #: The number of machines.
    machines: int
    #: Whether health checks can have a second interval, for the time until the first success (Docker 25).
    two_intervals: bool


class SwarmTask(msgspec.Struct, frozen=True):
    """One container of a service, planned or real."""

    #: Number of the replica.
    slot: int
    #: ``running``, ``starting``, ``failed``, ``rejected`` …
    state: str
    #: What Swarm wants it to be: ``running``, ``shutdown`` …
    desired: str
    #: What went wrong; empty if nothing did.
    error: str
    #: What it runs, as its service said it.
    image: str
    #: The labels of its container.
    labels: Mapping[str, str]
    #: RFC 3339 time of its state.
    since: str
    #: ID of the container; empty before it is made.
    container: str


class SwarmService(msgspec.Struct, frozen=True):
    """A service, as the engine knows it."""

    id: str
    #: Number of its specification, which an update must name.
    version: int
    spec: Mapping[str, Any]
    #: ``updating``, ``completed``, ``paused``, ``rollback_started``, ``rollback_paused``, ``rollback_completed``; empty
    #: for a service that was never updated.
    update_state: str
    #: What the engine says about this state.
    update_message: str

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.spec.get("Name") or "")

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.spec.get("Labels") or {}

    @property
    def image(self) -> str:
        """The image that it runs."""
        return str(self.spec["TaskTemplate"]["ContainerSpec"]["Image"])


class Swarm:
    """Swarm in one engine. The engine must be a manager, except for :meth:`state`."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session

    def state(self) -> SwarmState:
        """Return the state of Swarm in this engine.

        Raises:
            EngineError: The engine does not answer.
        """
        with translate_errors("asking for the state of Swarm"):
            swarm = self._session.api.info().get("Swarm") or {}
            return SwarmState(
                name=str(swarm.get("LocalNodeState") or "inactive"),
                is_manager=bool(swarm.get("ControlAvailable")),
                machine=str(swarm.get("NodeID") or ""),
                machines=int(swarm.get("Nodes") or 0),
                two_intervals=_number(self._session.api.api_version) >= _TWO_INTERVALS,
            )

    def begin(self) -> None:
        """Make this engine a Swarm of one machine, which listens on the loopback address only.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors("making this engine a Swarm"):
            self._session.api.init_swarm(
                advertise_addr=_LOOPBACK, listen_addr=f"{_LOOPBACK}:2377", data_path_addr=_LOOPBACK
            )

    def ensure_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a network of all machines, unless there is one of this name.

        Raises:
            EngineError: The engine rejected the request, or the network is of a different kind.
        """
        with translate_errors(f"making network {name}"):
            found = require_list(self._session.api.networks(names=[name]))
            exact = [entry for entry in found if entry["Name"] == name]
            if not exact:
                self._session.api.create_network(name, driver="overlay", labels=dict(labels), attachable=False)
            elif exact[0]["Scope"] != "swarm":
                raise EngineError(
                    f"network {name} is a network of this machine only, and not one of Swarm; remove it, or choose a "
                    "different deploy_name"
                )

    def secrets(self, label: str) -> dict[str, str]:
        """List the secrets that carry ``label`` (``key`` or ``key=value``).

        Returns:
            IDs by name.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors("listing secrets"):
            entries = require_list(self._session.api.secrets(filters={"label": label}))
            return {entry["Spec"]["Name"]: entry["ID"] for entry in entries}

    def create_secret(self, name: str, value: str, labels: Mapping[str, str]) -> str:
        """Store a secret.

        Returns:
            Its ID.

        Raises:
            EngineError: The engine rejected the request. The message does not contain the value.
        """
        with translate_errors(f"storing secret {name}"):
            return str(self._session.api.create_secret(name, value.encode(), labels=dict(labels))["ID"])

    def remove_secret(self, identifier: str) -> None:
        """Remove a secret. It need not exist.

        Raises:
            EngineError: A service needs it.
        """
        with contextlib.suppress(MissingError), translate_errors(f"removing secret {identifier}"):
            self._session.api.remove_secret(identifier)

    def services(self, label: str) -> list[SwarmService]:
        """List the services that carry ``label`` (``key`` or ``key=value``).

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors("listing services"):
            return [_read_service(each) for each in require_list(self._session.api.services(filters={"label": label}))]

    def find_service(self, name: str) -> SwarmService | None:
        """Look up a service by its exact name; ``None`` if there is none.

        Raises:
            EngineError: The engine rejected the request.
        """
        try:
            with translate_errors(f"looking for service {name}"):
                return _read_service(self._session.api.inspect_service(name))
        except MissingError:
            return None

    def create_service(self, spec: Mapping[str, Any]) -> None:
        """Make a service.

        Args:
            spec: Its specification, as the Engine API defines it.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors(f"making service {spec['Name']}"):
            self._session.api.create_service(spec["TaskTemplate"], **_arguments(spec))

    def update_service(self, service: SwarmService, spec: Mapping[str, Any]) -> None:
        """Change a service. Swarm replaces its containers if its task changes.

        Args:
            service: The service as it was read. If somebody changes it in between, the engine rejects the request.
            spec: Its new specification, complete.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors(f"updating service {service.name}"):
            self._session.api.update_service(service.id, service.version, spec["TaskTemplate"], **_arguments(spec))

    def remove_service(self, name: str) -> None:
        """Remove a service and its containers. It need not exist.

        Raises:
            EngineError: The engine rejected the request.
        """
        with contextlib.suppress(MissingError), translate_errors(f"removing service {name}"):
            self._session.api.remove_service(name)

    def tasks(self, service: str) -> list[SwarmTask]:
        """List the tasks of a service, the newest first.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors(f"listing the containers of service {service}"):
            entries = require_list(self._session.api.tasks(filters={"service": service}))
            newest_first = sorted(entries, key=lambda entry: str(entry["CreatedAt"]), reverse=True)
            return [_read_task(entry) for entry in newest_first]


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _arguments(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification as arguments of the SDK, without the task."""
    return {
        "name": spec["Name"],
        "labels": dict(spec["Labels"]),
        "mode": spec["Mode"],
        "update_config": spec["UpdateConfig"],
        "rollback_config": spec["RollbackConfig"],
        "endpoint_spec": spec["EndpointSpec"],
    }


def _read_service(entry: Mapping[str, Any]) -> SwarmService:
    update = entry.get("UpdateStatus") or {}
    return SwarmService(
        id=str(entry["ID"]),
        version=int(entry["Version"]["Index"]),
        spec=entry["Spec"],
        update_state=str(update.get("State") or ""),
        update_message=str(update.get("Message") or ""),
    )


def _read_task(entry: Mapping[str, Any]) -> SwarmTask:
    status = entry["Status"]
    return SwarmTask(
        slot=int(entry.get("Slot") or 0),
        state=str(status["State"]),
        desired=str(entry["DesiredState"]),
        error=str(status.get("Err") or ""),
        image=str(entry["Spec"]["ContainerSpec"]["Image"]),
        labels=entry["Spec"]["ContainerSpec"].get("Labels") or {},
        since=str(status["Timestamp"]),
        container=str((status.get("ContainerStatus") or {}).get("ContainerID") or ""),
    )
