# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine says of itself: its kind, its machine, and what it cannot do there."""

from __future__ import annotations

from dataclasses import dataclass

from .kind import Kind, told
from .refusal import translated
from .session import Session

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

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kind: Kind | None = None

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
            is_podman = told(version, lambda: info).commits_mount_points
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

    def kind(self) -> Kind:
        """Say what kind of engine answers; it is asked once.

        Raises:
            EngineError: The engine does not answer.
        """
        if self._kind is None:
            with translated("asking the engine for its version"):
                http = self._session.http
                self._kind = told(http.json("/version"), lambda: http.json("/info"))
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
