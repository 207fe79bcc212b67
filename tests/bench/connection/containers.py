"""The containers that the contenders work in, and how each is reached."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import docker

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import launch as meeting
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


class Ground:
    """One container for each place, kept for the whole bench."""

    def __init__(self, image: str, stack: ExitStack) -> None:
        """Reach the engine.

        Args:
            image: Reference of the image that the containers are started from, with Python added for the others.
            stack: What is started is ended when this is closed.

        Raises:
            EngineError: There is no engine, or it does not hold the image.
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
        """Whether the engine can also be reached as a remote one."""
        return self._relay is not None

    def address(self, place: Place) -> str:
        """What DOCKER_HOST is for a contender."""
        return self._relay.address if place.remote and self._relay else self._local

    def container(self, place: Place) -> str:
        """Name of the container of a place; it is started when it is first asked for."""
        kept = Place.PLAIN if place is Place.REMOTE_PLAIN else place
        if kept not in self._containers:
            self._containers[kept] = self._start(kept)
        return self._containers[kept]

    def _start(self, place: Place) -> str:
        # The one place where the bench starts containers. A remote build container is started through the relay,
        # so that nothing in it can know that the engine is on this machine.
        client = self._connect(self.address(place))
        name = f"{self._name}-{place.value.replace(' ', '-')}"
        mounts = []
        if place.build:
            made = mounted_python.ensure(as_engine(client), tier="bench", parent_image=self._image, run=name, say=print)
            self.pythons[place] = made.python if made else SYSTEM_PYTHON
            mounts = [*([made.mount] if made else []), *meeting.agent_mount(self.address(place), name)]
            self._stack.callback(meeting.remove_agent_folder, self.address(place), name)
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
        """Path of the Python that modules run with: in a build container, the one that is mounted."""
        return self.pythons.get(place, SYSTEM_PYTHON)

    def _find(self, reference: str) -> Image:
        image = as_engine(self.client).images.find(reference)
        if image is None:
            raise EngineError(
                f"the engine holds no image {reference}; `make chain` builds base:latest, --image takes any"
            )
        if as_engine(self.client).files.holds(image.id, SYSTEM_PYTHON):
            return image
        print(f"adding Python to {reference} for those that need one in the image", flush=True)
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
