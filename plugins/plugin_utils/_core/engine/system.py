# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engine's kind, machine and limits.

What an engine does otherwise than Docker; nothing else in this project asks which engine it has.

What an engine says of itself: its kind, its machine, and what it cannot do there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .api_errors import translated
from .session import EngineSession


@dataclass(frozen=True, slots=True)
class EngineKind:
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


DOCKER = EngineKind()
PODMAN = EngineKind(
    commits_mount_points=True,
    health_check_path="/v4.0.0/libpod/images/{}/json",
    default_network="podman",
    most_layers=None,
)
#: The limit is that of Docker's own store.
CONTAINERD = EngineKind(names_manifests=True, most_layers=None)

#: The first API of which an engine can have containerd's store.
_CONTAINERD_SINCE = (1, 42)


def recognise(version: Mapping[str, Any], info: Callable[[], Mapping[str, Any]]) -> EngineKind:
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


#: What limits are called in the answer to ``GET /info``, and here.
_LIMITS = {"MemoryLimit": "memory", "PidsLimit": "processes"}


@dataclass(frozen=True, slots=True)
class About:
    """What an engine says of itself."""

    #: ``Docker`` or ``Podman``.
    product: str
    version: str
    #: Where it keeps images, in its own words: ``overlay2``, ``overlayfs in containerd's store`` …
    store: str
    #: Whether it runs as an ordinary user.
    rootless: bool
    #: Its folder on its machine; empty where it does not say.
    folder: str
    #: Operating system and processor: ``linux/amd64``.
    platform: str


class System:
    """The engine itself."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session
        self._kind: EngineKind | None = None

    def version(self) -> str:
        """Its version, in its own words.

        Raises:
            EngineError: The engine does not answer.
        """
        with translated("asking the engine for its version"):
            return str(self._session.api.version()["Version"])

    def about(self) -> About:
        """Say what kind of engine this is, for people.

        Raises:
            EngineError: It does not answer, or its answer cannot be understood.
        """
        with translated("asking the engine what it is"):
            version, info = (self._session.http.json(path) for path in ("/version", "/info"))
            is_podman = recognise(version, lambda: info).commits_mount_points
            store = str(info.get("Driver") or "unknown")
            security = [str(each) for each in info.get("SecurityOptions") or ()]
            return About(
                product="Podman" if is_podman else "Docker",
                version=str(version["Version"]),
                store=f"{store} in containerd's store" if self.kind().names_manifests else store,
                rootless=any("rootless" in each for each in security) or bool(info.get("Rootless")),
                folder=str(info.get("DockerRootDir") or ""),
                platform=f"{version.get('Os') or 'linux'}/{version.get('Arch') or 'amd64'}",
            )

    def kind(self) -> EngineKind:
        """Say what kind of engine answers; it is asked once.

        Raises:
            EngineError: The engine does not answer.
        """
        if self._kind is None:
            with translated("asking the engine for its version"):
                http = self._session.http
                self._kind = recognise(http.json("/version"), lambda: http.json("/info"))
        return self._kind

    def platform(self) -> tuple[str, str]:
        """Operating system and processor of its machine: ``("linux", "amd64")``.

        Raises:
            EngineError: The engine does not answer.
        """
        with translated("asking the engine for its platform"):
            found = self._session.api.version()
            return str(found.get("Os") or "linux"), str(found.get("Arch") or "amd64")

    def missing_limits(self) -> list[str]:
        """Say which of ``memory`` and ``processes`` it cannot limit: a rootless one without delegated cgroups cannot.

        Raises:
            EngineError: The engine does not answer.
        """
        with translated("asking the engine for its limits"):
            able = self._session.api.info()
            return [limit for name, limit in _LIMITS.items() if able.get(name) is False]
