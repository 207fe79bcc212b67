# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks and named volumes of the engine. Their labels say what they are for; labels never change."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus

from .api_errors import MissingError, RefusedError, require_list, translate_errors
from .api_requests import in_path
from .session import EngineSession

#: Option of a network: name of its interface on the engine's machine. Docker and Podman support it.
_INTERFACE = "com.docker.network.bridge.name"


class Networks:
    """The networks of one engine."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session

    def create(self, name: str, labels: Mapping[str, str], options: Iterable[tuple[str, str]] = ()) -> str:
        """Create an internal network: its containers reach only each other, and the engine's machine reaches them.

        Args:
            name: Name of the network.
            labels: Labels of the network.
            options: Further options of the engine.

        Returns:
            ID of the network.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors(f"making network {name}"):
            info = self._session.api.create_network(
                name,
                driver="bridge",
                internal=True,
                labels=dict(labels),
                options={_INTERFACE: _interface(name), **dict(options)},
            )
            return str(info["Id"])

    def reaches(self, name: str) -> bool:
        """Say whether this machine reaches the containers of a network that :meth:`create` made.

        It does if it has the interface of the network. It has not if the engine is rootless, in a virtual machine, or
        on a different machine.

        Args:
            name: Name of the network.
        """
        return _interface(name) in {interface for _number, interface in socket.if_nameindex()}

    def find(self, label: str) -> list[tuple[str, dict[str, str]]]:
        """List networks that carry ``label`` (``key`` or ``key=value``).

        Returns:
            Pairs of network ID and labels.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors("listing networks"):
            entries = require_list(self._session.get("/networks", filters={"label": [label]}))
            return [(entry["Id"], entry.get("Labels") or {}) for entry in entries]

    def remove(self, network: str) -> None:
        """Remove a network that no container uses any more. It need not exist.

        Raises:
            EngineError: The engine rejected the request.
        """
        with contextlib.suppress(MissingError), translate_errors(f"removing network {network}"):
            self._session.api.remove_network(network)


def _interface(network: str) -> str:
    """Return a unique name for the interface of a network. The kernel allows 15 characters."""
    return f"tw{hashlib.sha256(network.encode()).hexdigest()[:12]}"


class Volumes:
    """The named volumes of one engine."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session

    def find(self, name: str) -> dict[str, str] | None:
        """Look up a volume.

        Returns:
            Its labels; ``None`` if the volume does not exist.

        Raises:
            EngineError: The engine rejected the request.
        """
        try:
            with translate_errors(f"looking for volume {name}"):
                return self._session.get(f"/volumes/{in_path(name)}").get("Labels") or {}
        except MissingError:
            return None

    def create(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        """Create a volume, unless a volume with this name exists.

        Returns:
            The labels of the volume. If it existed, they are the labels of the process that created it first.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors(f"making volume {name}"):
            return self._session.api.create_volume(name, labels=dict(labels)).get("Labels") or {}

    def remove(self, name: str) -> None:
        """Remove a volume. It need not exist, and it is kept if a container needs it.

        Raises:
            EngineError: The engine rejected the request for a different reason.
        """
        try:
            with translate_errors(f"removing volume {name}"):
                self._session.api.remove_volume(name)
        except RefusedError as error:
            if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                raise

    def sizes(self, names: Collection[str]) -> int:
        """Return the total size of volumes in bytes, as far as the engine reports it.

        Raises:
            EngineError: The engine rejected the request.
        """
        if not names:
            return 0
        with translate_errors("asking for the sizes of volumes"):
            entries = self._session.api.df().get("Volumes") or ()
            usage = {entry["Name"]: (entry.get("UsageData") or {}).get("Size", 0) for entry in entries}
            return sum(max(int(usage.get(name, 0)), 0) for name in names)

    def labelled(self, label: str) -> dict[str, dict[str, str]]:
        """List volumes that carry ``label`` (``key`` or ``key=value``).

        Returns:
            Labels by name.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors("listing volumes"):
            entries = self._session.get("/volumes", filters={"label": [label]})["Volumes"] or ()
            return {entry["Name"]: entry.get("Labels") or {} for entry in entries}
