# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks of the engine: made, found and removed."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Mapping

from .refusal import MissingError, listed, translated
from .session import Session

#: The option that names a network's interface on the engine's machine, for Docker and for Podman.
_INTERFACE = "com.docker.network.bridge.name"


class Networks:
    """The networks of one engine."""

    def __init__(self, session: Session) -> None:
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
