"""An engine in memory, for tests that need no real engine. `engine_contract` tests that it behaves like real ones.

It implements only the interface of `Engine`. How the library reads the answers of a real engine is tested in
`tests/unit/engine`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine
from fake_engine.containers import FakeContainers, FakeServices
from fake_engine.exec import FakeExec
from fake_engine.files import FakeFiles
from fake_engine.images import FakeCatalogue, FakeImages
from fake_engine.others import FakeNetworks, FakeSystem, FakeVolumes
from fake_engine.world import World, no_session

__all__ = ["FakeEngine", "World"]


class FakeEngine(Engine):
    """The connection of one caller to a world. Several callers can share one world."""

    def __init__(
        self, world: World | None = None, *, intercept: Callable[[Callable[[], Any]], Any] | None = None
    ) -> None:
        """Connect to a world, or to a new one if none is given.

        Args:
            world: The content of the engine.
            intercept: Is called with every call to the engine, and decides whether to execute it. The caller sees its
                exceptions.
        """
        self.world = world or World()
        self.intercept = intercept or (lambda call: call())
        self._session = no_session()
        self.system = FakeSystem(self)
        self.images = FakeImages(self)
        self.catalogue = FakeCatalogue(self)
        self.containers = FakeContainers(self)
        self.files = FakeFiles(self)
        self.services = FakeServices(self)
        self.volumes = FakeVolumes(self)
        self.networks = FakeNetworks(self)
        self.exec = FakeExec(self)

    @property
    def address(self) -> str:
        return "unix:///fake"

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def add(self, image: str, labels: dict[str, str] | None = None, *names: str, **fields: Any) -> None:
        """Add an image to the world; see `World.add`."""
        self.world.add(image, labels, *names, **fields)
