"""One test's access to an engine, and the objects that the test makes there."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Cage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.confinement import confined
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.services import ContainerSettings
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.streams import Output
from tiny_image import archive, document

#: The label of all objects that a test makes.
LABEL = "io.tierwright.contract"
MISSING_IMAGE = "tierwright-contract-nothing:here"
WAITS = ["/bin/sh", "-c", "trap 'exit 3' TERM; while :; do sleep 1 & wait $!; done"]


class Sandbox:
    """Access to an engine for one test. All objects that it makes have a unique mark, and are removed at the end."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.mark = engine, secrets.token_hex(4)
        self.label = f"{LABEL}={self.mark}"
        self.labels = {LABEL: self.mark}
        self.repository = f"tierwright-contract/{self.mark}"

    def load(self, tag: str = "one", *, labels: dict[str, str] | None = None, **settings: Any) -> Any:
        """Load an image with this tag into the engine, and return it."""
        name = f"{self.repository}:{tag}"
        content = document({**self.labels, "tag": tag, **(labels or {})}, **settings)
        self.engine.images.load_archive(iter([archive([name], content)]), name)
        return self.engine.images.get(name)

    def start(self, image: str, *command: str, **more: Any) -> str:
        """Start a container in the way users do, and return its ID."""
        return self.engine.services.start(ContainerSettings(image, self.labels, command=list(command) or WAITS, **more))

    def build_container(self, image: str, name: str = "build", mounts: Any = ()) -> Any:
        confinement = confined(self.engine.system, Cage(), family=None, say=print, mounts=mounts)
        name = f"tierwright-contract-{self.mark}-{name}"
        return self.engine.containers.start(name=name, image=image, tier="x", labels=self.labels, confined=confinement)

    def run(self, container: str, *argv: str, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
        output = Output()
        code = self.engine.exec.run(container, list(argv), stdin=iter([stdin]), take=output.take)
        return code, bytes(output.stdout), bytes(output.stderr)

    def wait_for_end(self, container: str) -> Any:
        """Wait until a container ends by itself, and return its state."""
        while (state := self.engine.services.state(container)).running:
            pass
        return state

    def clear(self) -> None:
        for container, _labels in self.engine.containers.find(self.label):
            self.engine.containers.remove(container)
        for image in self.engine.images.labelled(self.label):
            inspected = self.engine.images.find(image)
            for name in inspected.tags if inspected else ():
                self.engine.images.remove(name)
            self.engine.images.remove(image)
        for volume in self.engine.volumes.labelled(self.label):
            self.engine.volumes.remove(volume)
        for network, _labels in self.engine.networks.find(self.label):
            self.engine.networks.remove(network)


@pytest.fixture
def sandbox(engine):
    sandbox = Sandbox(engine)
    yield sandbox
    sandbox.clear()
