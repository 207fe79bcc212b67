# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The test bed: what one session of tests starts of an image and its neighbours, and its end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from testinfra.host import Host

from ..engine import containers, services
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import EngineError, NotFoundError
from ..image import labels
from ..interpreter import mounted_python
from . import container_access
from .container_access import WAITING, Relay
from .reaper import Watcher, clear
from .started_container import StartedContainer

_ROOT = "0:0"

#: Docker until 25 lets whoever asks for a name of the outside wait for an answer that cannot come, 10 s each time.
_GIVE_UP_SOON = ("timeout:1", "attempts:1")


@dataclass(frozen=True, slots=True)
class ImageUnderTest:
    """The image under test."""

    #: ``sha256:…`` of its configuration.
    id: str
    #: The tier that it is of.
    tier: str
    labels: Mapping[str, str]
    #: Its runtime configuration, as ``docker inspect`` shows it below ``Config``.
    config: Mapping[str, Any]
    #: Digests of its layers, the base's first.
    layers: tuple[str, ...]


class Bed:
    """What a session starts. Nothing is, before it is asked for."""

    def __init__(
        self,
        engine: Engine,
        reference: str,
        *,
        tier: str | None = None,
        neighbours: Mapping[str, str] | None = None,
        run: str | None = None,
        online: Callable[[], bool] = lambda: False,
    ) -> None:
        """Look the image up.

        Args:
            engine: The engine.
            reference: The image under test.
            tier: The tier that it is of; ``None`` for what its label says.
            neighbours: Images of other tiers that may be started, by tier.
            run: The run that the tests are part of; ``None`` for one of their own.
            online: Says whether the test that asks reaches what is outside.

        Raises:
            NotFoundError: The engine holds no such image.
        """
        self._engine, self._online = engine, online
        found = _image(engine, reference)
        self._tier = tier or found.labels.get(labels.TIER) or reference
        self._images = {self._tier: found}
        self._neighbours = dict(neighbours or {})
        session = secrets.token_hex(8)
        self._name = f"tierwright-test-{session}"
        self._mark = f"{labels.SESSION}={session}"
        self._labels = {
            **labels.work(run or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{session[:8]}", self._tier),
            labels.SESSION: session,
            labels.CHAIN: found.labels.get(labels.CHAIN, ""),
        }
        self._idle: dict[bool, str] = {}
        self._network = ""
        self._relay: Relay | None = None
        #: A container that requests go through, and the Python in it.
        self._helper: tuple[str, str] | None = None
        self._watcher: Watcher | None = None
        #: What was started and not ended yet.
        self.started: list[StartedContainer] = []

    @property
    def image(self) -> ImageUnderTest:
        """The image under test."""
        found = self._images[self._tier]
        return ImageUnderTest(found.id, self._tier, found.labels, found.config, found.layers)

    def host(self) -> Host:
        """The testinfra ``Host`` for the image itself: a shell as root and nothing of the image's own that runs."""
        return container_access.host(self._engine, self._tier, self._idle_container, _ROOT)

    def start(
        self,
        tier: str | None = None,
        *,
        env: Mapping[str, str] | None = None,
        alias: str | None = None,
        user: str | None = None,
        command: Sequence[str] | None = None,
    ) -> StartedContainer:
        """Start an image as its users do, on the session's private network.

        Args:
            tier: A neighbour; ``None`` for the image under test.
            env: Environment besides the image's.
            alias: Its name on the network; by default the tier's.
            user: ``name``, ``uid`` or ``uid:gid`` in place of the image's.
            command: In place of the image's ``CMD``.

        Raises:
            NotFoundError: There is no such neighbour, or its image is gone.
            EngineError: The engine refused.
        """
        name, online = tier or self._tier, self._online()
        image, alias = self._image_of(name), alias or name
        wanted = {self._private_network(): [alias]}
        if online:
            wanted[self._engine.kind.default_network] = []
        setting = services.Setting(
            image.id,
            self._labels,
            environment={key: str(value) for key, value in (env or {}).items()},
            user=user or "",
            command=tuple(command or ()),
            networks=wanted,
            resolving=() if online else _GIVE_UP_SOON,
        )
        container = self._engine.services.start(setting)
        made = StartedContainer(
            self._engine, container, tier=name, alias=alias, image=image, network=self._name, relay=self._relay
        )
        self.started.append(made)
        return made

    def end(self, started: StartedContainer) -> None:
        """Remove what was started.

        Raises:
            EngineError: The engine refused.
        """
        self.started.remove(started)
        self._engine.containers.remove(started.container)

    def close(self) -> None:
        """Remove everything of this session.

        Raises:
            EngineError: The engine refused.
        """
        if self._watcher is not None:
            clear(self._engine, self._mark)
            self._watcher.dismiss()

    def _idle_container(self) -> str:
        online = self._online()
        if online not in self._idle:
            self._watch()
            setting = services.Setting(
                self._images[self._tier].id,
                self._labels,
                user=_ROOT,
                command=("/bin/sh", "-c", containers.WAITING),
                bare=True,
                networks={self._engine.kind.default_network: []} if online else {},
            )
            try:
                self._idle[online] = self._engine.services.start(setting)
            except EngineError as error:
                raise EngineError(
                    f"tier {self._tier!r}: fixture 'host' needs /bin/sh and sleep in the image; where it has none, use "
                    f"'image' and 'start' ({error})"
                ) from error
        return self._idle[online]

    def _private_network(self) -> str:
        if not self._network:
            self._watch()
            self._network = self._engine.networks.create(self._name, self._labels)
            if not self._engine.networks.reaches(self._name):
                self._relay = Relay(self._engine, self._helping_container)
        return self._name

    def _helping_container(self) -> tuple[str, str]:
        if self._helper is None:
            image, run = self._images[self._tier], self._labels[labels.RUN]
            found = mounted_python.ensure(
                self._engine, tier=self._tier, parent_image=image, run=run, say=lambda _line: None
            )
            if found is None:
                raise EngineError(
                    f"tier {self._tier!r}: the engine's networks are not this machine's (a rootless engine, or one "
                    "elsewhere), and there is no Python for images of its distribution to carry requests there: "
                    "run these tests where the containers' network is"
                )
            setting = services.Setting(
                image.id,
                self._labels,
                user=_ROOT,
                command=(found.python, *WAITING),
                bare=True,
                networks={self._private_network(): []},
                mounts=[found.mount],
            )
            self._helper = self._engine.services.start(setting), found.python
        return self._helper

    def _watch(self) -> None:
        self._watcher = self._watcher or Watcher(self._mark)

    def _image_of(self, tier: str) -> Image:
        if tier not in self._images:
            reference = self._neighbours.get(tier)
            if reference == "":
                raise NotFoundError(
                    f"tier {self._tier!r} cannot be tested with its neighbour {tier!r}, which has no image: it failed "
                    "in this run, or was never built, and has no release; mend that tier first"
                )
            if reference is None:
                known = ", ".join(sorted(self._neighbours)) or "none"
                raise NotFoundError(
                    f"tier {self._tier!r} has no neighbour {tier!r}; its neighbours are: {known}. In a chain, "
                    f"tier_neighbours names them; for pytest, --neighbour {tier}=IMAGE"
                )
            self._images[tier] = _image(self._engine, reference)
        return self._images[tier]


def _image(engine: Engine, reference: str) -> Image:
    found = engine.images.find(reference)
    if found is None:
        raise NotFoundError(f"the engine holds no image {reference}; `docker images` lists those that it holds")
    config = engine.images.full_config(found)
    return Image(**{**{name: getattr(found, name) for name in Image.__dataclass_fields__}, "config": config})
