# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks and named volumes.

Networks of the engine: made, found and removed.

Named volumes: made, looked up, removed. What they are for stands in their labels, which never change.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Collection, Mapping
from http import HTTPStatus

from .api_errors import MissingError, RefusedError, listed, translated
from .session import EngineSession

#: The option that names a network's interface on the engine's machine, for Docker and for Podman.
_INTERFACE = "com.docker.network.bridge.name"


class Networks:
    """The networks of one engine."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session

    def create(self, name: str, labels: Mapping[str, str]) -> str:
        """Make a network that leads nowhere: containers on it reach each other, and the engine's machine reaches them.

        Args:
            name: Name for the network.
            labels: Labels for it.

        Returns:
            Its ID.

        Raises:
            EngineError: The engine refused.
        """
        with translated(f"making network {name}"):
            made = self._session.api.create_network(
                name, driver="bridge", internal=True, labels=dict(labels), options={_INTERFACE: _interface(name)}
            )
            return str(made["Id"])

    def reaches(self, name: str) -> bool:
        """Say whether this machine reaches the containers of a network that was made here.

        It does where it has that very interface: not where the engine is a user's (rootless), in a virtual machine, or
        elsewhere.

        Args:
            name: Name of the network.
        """
        return _interface(name) in {interface for _number, interface in socket.if_nameindex()}

    def find(self, label: str) -> list[tuple[str, dict[str, str]]]:
        """List networks that carry ``label`` (``key`` or ``key=value``).

        Returns:
            Pairs of network ID and its labels.

        Raises:
            EngineError: The engine refused.
        """
        with translated("listing networks"):
            found = listed(self._session.api.networks(filters={"label": label}))
            return [(each["Id"], each.get("Labels") or {}) for each in found]

    def remove(self, network: str) -> None:
        """Remove a network that no container is on any more; it may be gone already.

        Raises:
            EngineError: The engine refused.
        """
        with contextlib.suppress(MissingError), translated(f"removing network {network}"):
            self._session.api.remove_network(network)


def _interface(network: str) -> str:
    """A name that no other network's interface has; the kernel takes 15 characters."""
    return f"tw{hashlib.sha256(network.encode()).hexdigest()[:12]}"


class Volumes:
    """The named volumes of one engine."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session

    def find(self, name: str) -> dict[str, str] | None:
        """Look a volume up.

        Returns:
            Its labels; ``None`` where there is no such volume.

        Raises:
            EngineError: The engine refused.
        """
        try:
            with translated(f"looking for volume {name}"):
                return self._session.api.inspect_volume(name).get("Labels") or {}
        except MissingError:
            return None

    def create(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        """Make a volume, unless there is one of that name: the first of several makers wins.

        Returns:
            The labels that the volume has, which are another maker's where that one was first.

        Raises:
            EngineError: The engine refused.
        """
        with translated(f"making volume {name}"):
            return self._session.api.create_volume(name, labels=dict(labels)).get("Labels") or {}

    def remove(self, name: str) -> None:
        """Remove a volume; it may be gone already, or be needed by a container.

        Raises:
            EngineError: The engine refused for another reason.
        """
        try:
            with translated(f"removing volume {name}"):
                self._session.api.remove_volume(name)
        except RefusedError as error:
            if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                raise

    def sizes(self, names: Collection[str]) -> int:
        """Bytes in some volumes, as far as the engine tells.

        Raises:
            EngineError: The engine refused.
        """
        if not names:
            return 0
        with translated("asking for the sizes of volumes"):
            found = self._session.api.df().get("Volumes") or ()
            usage = {each["Name"]: (each.get("UsageData") or {}).get("Size", 0) for each in found}
            return sum(max(int(usage.get(name, 0)), 0) for name in names)

    def labelled(self, label: str) -> dict[str, dict[str, str]]:
        """List volumes that carry ``label`` (``key`` or ``key=value``).

        Returns:
            Each one's labels, by name.

        Raises:
            EngineError: The engine refused.
        """
        with translated("listing volumes"):
            found = self._session.api.volumes(filters={"label": label})["Volumes"] or ()
            return {each["Name"]: each.get("Labels") or {} for each in found}
