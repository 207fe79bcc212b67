# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks of the engine: made, found and removed."""

from __future__ import annotations

from collections.abc import Mapping

import docker
import docker.errors

from .client import listed, translated


def create(client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> str:
    """Make a network that leads nowhere: containers on it reach each other, and this machine reaches them.

    Args:
        client: The engine.
        name: Name for the network.
        labels: Labels for it.

    Returns:
        Its ID.

    Raises:
        EngineError: The engine refused.
    """
    with translated(f"making network {name}"):
        return str(client.api.create_network(name, driver="bridge", internal=True, labels=dict(labels))["Id"])


def find(client: docker.DockerClient, label: str) -> list[tuple[str, dict[str, str]]]:
    """List networks that carry ``label`` (``key`` or ``key=value``).

    Returns:
        Pairs of network ID and its labels.

    Raises:
        EngineError: The engine refused.
    """
    with translated("listing networks"):
        found = listed(client.api.networks(filters={"label": label}))
        return [(each["Id"], each.get("Labels") or {}) for each in found]


def remove(client: docker.DockerClient, network: str) -> None:
    """Remove a network that no container is on any more; it may be gone already.

    Raises:
        EngineError: The engine refused.
    """
    with translated(f"removing network {network}"):
        try:
            client.api.remove_network(network)
        except docker.errors.NotFound:
            return
