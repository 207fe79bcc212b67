# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine does otherwise than Docker; nothing else in this project asks which engine it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """How an engine behaves where engines differ."""

    #: Whether what it makes in a container to mount its own files over is part of the container's changes.
    #: Docker keeps that in a layer between image and container.
    commits_mount_points: bool = False
    #: Where it tells an image's health check, for engines whose answer to ``GET /images/{id}/json`` has none.
    health_check_path: str | None = None
    #: The network of containers that ask for none.
    default_network: str = "bridge"
    #: Layers that an image may have; ``None`` where the engine sets no limit of its own.
    most_layers: int | None = 125  # ``maxLayerDepth`` of moby's ``layer/layer_store.go``


DOCKER = Kind()
PODMAN = Kind(
    commits_mount_points=True,
    health_check_path="/v4.0.0/libpod/images/{}/json",
    default_network="podman",
    most_layers=None,
)


def told(version: Mapping[str, Any]) -> Kind:
    """Tell the kind from the answer to ``GET /version``."""
    parts = {str(each.get("Name")) for each in version.get("Components") or ()}
    return PODMAN if "Podman Engine" in parts else DOCKER
