"""The containers in which the contenders run tasks, and the addresses of the engine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import docker

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import launch
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Cage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import confinement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import Image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter import mounted_python
from python_image import python_image
from relay import Relay
from sdk_client import as_engine, sdk_client

from .contenders import Place

_UNIX = "unix://"

SYSTEM_PYTHON = "/usr/bin/python3"


class Containers:
    """One container for each place. It exists for the whole bench."""

    def __init__(self, image: str, stack: ExitStack) -> None:
        """Connect to the engine.

        Args:
            image: Name or ID of the image of the containers. If it has no Python, a copy of it gets one.
            stack: Removes everything that is started, when it is closed.

        Raises:
            EngineError: There is no engine, or it does not have the image.
        """
        self._stack = stack
        self._local = engine_address()
        self._name = f"tierwright-bench-{secrets.token_hex(4)}"
        self._containers: dict[Place, str] = {}
        self.pythons: dict[Place, str] = {}
        self._relay = self._start_relay()
        self.client = self._connect(self._local)
        self._image = self._find(image)

    @property
    def relay(self) -> bool:
        """Whether the engine is also reachable like a remote one."""
        return self._relay is not None

    def address(self, place: Place) -> str:
        """The value of DOCKER_HOST for a place."""
        return self._relay.address if place.remote and self._relay else self._local

    def container(self, place: Place) -> str:
        """The name of the container of a place. The first call starts it."""
        key = Place.PLAIN if place is Place.REMOTE_PLAIN else place
        if key not in self._containers:
            self._containers[key] = self._start(key)
        return self._containers[key]

    def _start(self, place: Place) -> str:
        # The only place where the bench starts containers. A remote build container is started through the relay, so
        # that nothing in it depends on an engine on this machine.
        client = self._connect(self.address(place))
        name = f"{self._name}-{place.value.replace(' ', '-')}"
        mounts = []
        if place.build:
            interpreter = mounted_python.ensure(
                as_engine(client), tier="bench", parent_image=self._image, run=name, say=print
            )
            self.pythons[place] = interpreter.python if interpreter else SYSTEM_PYTHON
            mounts = [*([interpreter.mount] if interpreter else []), *launch.agent_mount(self.address(place), name)]
            self._stack.callback(launch.remove_agent_folder, self.address(place), name)
        started = as_engine(client).containers.start(
            name=name,
            image=self._image.id,
            tier="bench",
            labels={f"{labels.PREFIX}bench": "connection"},
            confined=confinement.confined(
                as_engine(client).system, Cage(), family=self._image.labels.get(labels.FAMILY), say=print, mounts=mounts
            ),
        )
        self._stack.callback(as_engine(self.client).containers.remove, started.id)
        return started.name

    def python(self, place: Place) -> str:
        """Path of the Python that runs modules. In a build container, it is the mounted Python."""
        return self.pythons.get(place, SYSTEM_PYTHON)

    def _find(self, reference: str) -> Image:
        image = as_engine(self.client).images.find(reference)
        if image is None:
            raise EngineError(
                f"the engine has no image {reference}; build base:latest with `make chain`, or use --image"
            )
        if as_engine(self.client).files.holds(image.id, SYSTEM_PYTHON):
            return image
        print(f"adding Python to {reference} for contenders that need one in the image", flush=True)
        return as_engine(self.client).images.get(self._stack.enter_context(python_image(self.client, image.id)))

    def _connect(self, address: str) -> docker.DockerClient:
        with _docker_host(address):
            client = sdk_client()
        self._stack.callback(client.close)
        return client

    def _start_relay(self) -> Relay | None:
        if not self._local.startswith(_UNIX):
            return None
        relay = Relay(self._local.removeprefix(_UNIX))
        relay.start()
        self._stack.callback(relay.close)
        return relay


@contextmanager
def _docker_host(address: str) -> Iterator[None]:
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ["DOCKER_HOST"]
        else:
            os.environ["DOCKER_HOST"] = before
