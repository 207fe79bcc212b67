# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The containers that one test session starts from an image and its neighbours."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from ..engine import containers, services
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import EngineError, NotFoundError
from ..image import labels
from ..interpreter import mounted_python
from .container_operations import ContainerUnderTest, ImageUnderTest
from .engine_container import EngineContainer
from .reaper import Watcher, clear
from .relay import IDLE_ARGUMENTS, Relay

_ROOT = "0:0"

#: Number of containers that are removed at the same time, while tests run.
_PARALLEL_REMOVALS = 2

#: Options for ``resolv.conf``. With Docker up to 25, on a network without access to the outside, queries for outside
#: names fail only after 10 s.
_SHORT_DNS_TIMEOUT = ("timeout:1", "attempts:1")


class SessionContainers:
    """The containers and the network of one test session. Each is started when it is first needed.

    Threads may share it.
    """

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
        """Find the image.

        Args:
            engine: The engine.
            reference: The image under test.
            tier: The tier that it belongs to; ``None`` for the tier in its label.
            neighbours: Images of other tiers that may be started, by tier; empty for a tier without an image.
            run: The run that the tests belong to; ``None`` if they do not run in a gate.
            online: Tells whether the current test may reach outside networks.

        Raises:
            NotFoundError: The engine does not have the image.
        """
        self._engine, self._online = engine, online
        image = _image(engine, reference)
        self._tier = tier or image.labels.get(labels.TIER) or reference
        self._images = {self._tier: image}
        self._neighbours = dict(neighbours or {})
        session = secrets.token_hex(8)
        self._name = f"tierwright-test-{session}"
        self._session_label = f"{labels.SESSION}={session}"
        self._labels: Mapping[str, str] = {
            **labels.work(run or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{session[:8]}", self._tier),
            labels.SESSION: session,
            labels.CHAIN: image.labels.get(labels.CHAIN, ""),
        }
        #: Idle containers for ``host``: one without and one with access to outside networks.
        self._idle: dict[bool, EngineContainer] = {}
        #: Started containers that were not removed, by ID.
        self._started: dict[str, EngineContainer] = {}
        #: Removes ended containers. What it cannot remove is removed again, with an error, when the session ends.
        self._removals = ThreadPoolExecutor(_PARALLEL_REMOVALS)
        self._network = ""
        self._relay: Relay | None = None
        #: The helper container for HTTP requests, and the path of its Python.
        self._helper: tuple[str, str] | None = None
        self._watcher: Watcher | None = None
        self._lock = threading.RLock()

    @property
    def image(self) -> ImageUnderTest:
        """The image under test."""
        image = self._images[self._tier]
        return ImageUnderTest(image.id, self._tier, image.labels, image.config, image.layers)

    def labels(self) -> Mapping[str, str]:
        """Return the labels with which a container belongs to this session, and is removed with it."""
        self._watch()
        return self._labels

    def idle(self) -> EngineContainer:
        """Return the idle container of the image under test: commands run as root, its own processes do not run."""
        with self._lock:
            return self._start_idle()

    def start(
        self,
        tier: str | None = None,
        *,
        env: Mapping[str, str] | None = None,
        alias: str | None = None,
        user: str | None = None,
        command: Sequence[str] | None = None,
    ) -> EngineContainer:
        """Start an image as its users do, on the session's private network.

        Args:
            tier: A neighbour; ``None`` for the image under test.
            env: Environment variables in addition to the image's.
            alias: Its name on the network; by default the tier's name.
            user: ``name``, ``uid`` or ``uid:gid`` instead of the image's user.
            command: Replaces the image's ``CMD``.

        Raises:
            NotFoundError: There is no such neighbour, or it has no image.
            EngineError: The engine rejected a request.
        """
        name, online = tier or self._tier, self._online()
        image, alias = self._image_of(name), alias or name
        networks = {self._private_network(): [alias]}
        if online:
            networks[self._engine.kind.default_network] = []
        setting = services.ContainerSettings(
            image.id,
            self._labels,
            environment={key: str(value) for key, value in (env or {}).items()},
            user=user or "",
            command=tuple(command or ()),
            networks=networks,
            dns_options=() if online else _SHORT_DNS_TIMEOUT,
        )
        container = EngineContainer(
            self._engine,
            self._engine.services.start(setting),
            tier=name,
            alias=alias,
            config=image.config,
            network=self._name,
            relay=self._relay,
        )
        self._started[container.id] = container
        return container

    def remove(self, container: ContainerUnderTest) -> None:
        """End a container, and remove it in the background.

        When this method returns, no process of the container runs, so it cannot disturb the next test.

        Raises:
            EngineError: The engine rejected a request.
        """
        started = self._started.pop(container.id, None)
        if started is None:
            return
        try:
            started.end()
        except EngineError:  # a test may have removed it already, which is no error for this request
            self._engine.containers.remove(container.id)
        else:
            self._removals.submit(self._engine.containers.remove, container.id)

    def close(self) -> None:
        """Remove all containers of this session and its network, and wait for removals in the background.

        Raises:
            EngineError: The engine rejected a request.
        """
        self._removals.shutdown()
        if self._watcher is not None:
            clear(self._engine, self._session_label)
            for container in (*self._idle.values(), *self._started.values()):
                container.disconnect()
            self._watcher.dismiss()
            self._watcher = None

    def _start_idle(self) -> EngineContainer:
        online = self._online()
        if online not in self._idle:
            self._watch()
            image = self._images[self._tier]
            setting = services.ContainerSettings(
                image.id,
                self._labels,
                user=_ROOT,
                command=("/bin/sh", "-c", containers.IDLE_SCRIPT),
                bare=True,
                networks={self._engine.kind.default_network: []} if online else {},
            )
            try:
                container = self._engine.services.start(setting)
            except EngineError as error:
                raise EngineError(
                    f"tier {self._tier!r}: fixture 'host' needs /bin/sh and sleep in the image; if the image does not "
                    f"have them, use 'image' and 'start' ({error})"
                ) from error
            self._idle[online] = EngineContainer(
                self._engine, container, tier=self._tier, alias=self._tier, config=image.config, user=_ROOT
            )
        return self._idle[online]

    def _private_network(self) -> str:
        with self._lock:
            if not self._network:
                self._watch()
                self._network = self._engine.networks.create(self._name, self._labels, self._network_options())
                if not self._reaches_network():
                    self._relay = Relay(self._engine, self._helper_container)
        return self._name

    def _network_options(self) -> tuple[tuple[str, str], ...]:
        """Return further options of the private network."""
        return ()

    def _reaches_network(self) -> bool:
        """Say whether this machine reaches the private network."""
        return self._engine.networks.reaches(self._name)

    def _helper_container(self) -> tuple[str, str]:
        with self._lock:
            return self._make_helper()

    def _make_helper(self) -> tuple[str, str]:
        if self._helper is None:
            image, run = self._images[self._tier], self._labels[labels.RUN]
            interpreter = mounted_python.ensure(
                self._engine, tier=self._tier, parent_image=image, run=run, say=lambda _line: None
            )
            if interpreter is None:
                raise EngineError(
                    f"tier {self._tier!r}: this machine cannot reach the containers' network (the engine is rootless, "
                    "or runs on a different machine), and there is no mounted Python for images of this distribution, "
                    "through which requests could be sent: run these tests on a machine that can reach the network"
                )
            setting = services.ContainerSettings(
                image.id,
                self._labels,
                user=_ROOT,
                command=(interpreter.python, *IDLE_ARGUMENTS),
                bare=True,
                networks={self._private_network(): []},
                mounts=[interpreter.mount],
            )
            self._helper = self._engine.services.start(setting), interpreter.python
        return self._helper

    def _watch(self) -> None:
        self._watcher = self._watcher or Watcher(self._session_label)

    def _image_of(self, tier: str) -> Image:
        if tier not in self._images:
            reference = self._neighbours.get(tier)
            if reference == "":
                raise NotFoundError(
                    f"tier {self._tier!r} cannot be tested with its neighbour {tier!r}, which has no image: it failed "
                    "in this run, or was never built, and has no release; repair that tier first"
                )
            if reference is None:
                names = ", ".join(sorted(self._neighbours)) or "none"
                raise NotFoundError(
                    f"tier {self._tier!r} has no neighbour {tier!r}; its neighbours are: {names}. Add it to "
                    f"tier_neighbours of the tier, or call pytest with --neighbour {tier}=IMAGE"
                )
            self._images[tier] = _image(self._engine, reference)
        return self._images[tier]


class SeparateContainers(SessionContainers):
    """Containers for tests that nobody trusts: they do not reach the engine's machine, if the engine can do that."""

    def _network_options(self) -> tuple[tuple[str, str], ...]:
        return self._engine.kind.machine_outside

    def _reaches_network(self) -> bool:
        return not self._network_options() and super()._reaches_network()


def _image(engine: Engine, reference: str) -> Image:
    image = engine.images.find(reference)
    if image is None:
        raise NotFoundError(f"the engine does not have the image {reference}; `docker images` lists its images")
    config = engine.images.full_config(image)
    return Image(**{**{name: getattr(image, name) for name in Image.__struct_fields__}, "config": config})
