# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine does otherwise than Docker; nothing else in this project asks which engine it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    #: Whether it calls an image by the digest of its manifest: Docker with containerd's store does.
    names_manifests: bool = False
    #: Layers that an image may have; ``None`` where the engine sets no limit of its own.
    most_layers: int | None = 125  # ``maxLayerDepth`` of moby's ``layer/layer_store.go``


DOCKER = Kind()
PODMAN = Kind(
    commits_mount_points=True,
    health_check_path="/v4.0.0/libpod/images/{}/json",
    default_network="podman",
    most_layers=None,
)
#: The limit is that of Docker's own store.
CONTAINERD = Kind(names_manifests=True, most_layers=None)

#: The first API of which an engine can have containerd's store.
_CONTAINERD_SINCE = (1, 42)


def told(version: Mapping[str, Any], info: Callable[[], Mapping[str, Any]]) -> Kind:
    """Tell the kind.

    Args:
        version: The answer to ``GET /version``.
        info: Gets the answer to ``GET /info``, which takes longer.
    """
    parts = {str(each.get("Name")) for each in version.get("Components") or ()}
    if "Podman Engine" in parts:
        return PODMAN
    if tuple(map(int, str(version.get("ApiVersion") or "0").split("."))) < _CONTAINERD_SINCE:
        return DOCKER
    status = info().get("DriverStatus") or ()
    return CONTAINERD if ["driver-type", "io.containerd.snapshotter.v1"] in list(status) else DOCKER
