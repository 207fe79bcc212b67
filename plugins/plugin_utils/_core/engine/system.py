# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kind of the engine, its version, its machine, and its limits.

Differences between engines are attributes of :class:`EngineKind`. No other code asks which product the engine is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .api_errors import translate_errors
from .session import EngineIdentity, EngineSession, names_podman


class EngineKind(msgspec.Struct, frozen=True):
    """The behaviour of an engine, where engines differ."""

    #: Whether the mount points that the engine creates for its own files are part of the container's changes. Docker
    #: creates them in a layer between image and container.
    commits_mount_points: bool = False
    #: API path of an image's health check, for engines whose response to ``GET /images/{id}/json`` does not contain it.
    health_check_path: str | None = None
    #: The network of containers for which no network is set.
    default_network: str = "bridge"
    #: Whether it names an image by the digest of its manifest. Docker with containerd's store does.
    names_manifests: bool = False
    #: Options of a network with which the engine's machine has no address in it.
    machine_outside: tuple[tuple[str, str], ...] = (("com.docker.network.bridge.inhibit_ipv4", "true"),)
    #: Maximum number of layers of an image; ``None`` if the engine has no limit.
    most_layers: int | None = 125  # ``maxLayerDepth`` of moby's ``layer/layer_store.go``


DOCKER = EngineKind()
PODMAN = EngineKind(
    commits_mount_points=True,
    health_check_path="/v4.0.0/libpod/images/{}/json",
    default_network="podman",
    machine_outside=(),
    most_layers=None,
)
#: The limit of layers belongs to Docker's own store.
CONTAINERD = EngineKind(names_manifests=True, most_layers=None)

#: First API version of engines that may use containerd's store.
_CONTAINERD_SINCE = (1, 42)


def recognise(engine: EngineIdentity, info: Callable[[], Mapping[str, Any]]) -> EngineKind:
    """Return the kind of an engine.

    Args:
        engine: The identity of the engine.
        info: Gets the response to ``GET /info``, which is slower. It is called only if it is needed.
    """
    if engine.is_podman:
        return PODMAN
    if tuple(map(int, engine.api_version.split("."))) < _CONTAINERD_SINCE:
        return DOCKER
    status = info().get("DriverStatus") or ()
    return CONTAINERD if ["driver-type", "io.containerd.snapshotter.v1"] in list(status) else DOCKER


#: Name of a limit in the response to ``GET /info``, and its name here.
_LIMITS = {"MemoryLimit": "memory", "PidsLimit": "processes"}


class About(msgspec.Struct, frozen=True):
    """Description of an engine, for users."""

    #: ``Docker`` or ``Podman``.
    product: str
    version: str
    #: How it stores images: ``overlay2``, ``overlayfs in containerd's store`` …
    store: str
    #: Whether it runs as a normal user.
    rootless: bool
    #: Its folder on its machine; empty if it does not report it.
    folder: str
    #: Operating system and processor: ``linux/amd64``.
    platform: str


class System:
    """The engine itself."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session
        self._kind: EngineKind | None = None

    def version(self) -> str:
        """Return the version, as the engine writes it.

        Raises:
            EngineError: The engine does not answer.
        """
        with translate_errors("asking the engine for its version"):
            return str(self._session.get("/version")["Version"])

    def about(self) -> About:
        """Return a description of the engine, for users.

        Raises:
            EngineError: The engine does not answer, or its response cannot be understood.
        """
        with translate_errors("asking the engine what it is"):
            version, info = (self._session.http.json(path) for path in ("/version", "/info"))
            kind = recognise(EngineIdentity(str(version.get("ApiVersion") or "0"), names_podman(version)), lambda: info)
            store = str(info.get("Driver") or "unknown")
            security = [str(option) for option in info.get("SecurityOptions") or ()]
            return About(
                product="Podman" if kind.commits_mount_points else "Docker",
                version=str(version["Version"]),
                store=f"{store} in containerd's store" if kind.names_manifests else store,
                rootless=any("rootless" in option for option in security) or bool(info.get("Rootless")),
                folder=str(info.get("DockerRootDir") or ""),
                platform=f"{version.get('Os') or 'linux'}/{version.get('Arch') or 'amd64'}",
            )

    def kind(self) -> EngineKind:
        """Return the kind of the engine. The engine is asked only once.

        Raises:
            EngineError: The engine does not answer.
        """
        if self._kind is None:
            with translate_errors("asking the engine for its version"):
                self._kind = recognise(self._session.identity(), lambda: self._session.http.json("/info"))
        return self._kind

    def platform(self) -> tuple[str, str]:
        """Return the operating system and processor of the engine's machine: ``("linux", "amd64")``.

        Raises:
            EngineError: The engine does not answer.
        """
        with translate_errors("asking the engine for its platform"):
            version = self._session.get("/version")
            return str(version.get("Os") or "linux"), str(version.get("Arch") or "amd64")

    def missing_limits(self) -> list[str]:
        """Say which of ``memory`` and ``processes`` the engine cannot limit. A rootless engine needs delegated cgroups.

        Raises:
            EngineError: The engine does not answer.
        """
        with translate_errors("asking the engine for its limits"):
            info = self._session.get("/info")
            return [limit for name, limit in _LIMITS.items() if info.get(name) is False]
