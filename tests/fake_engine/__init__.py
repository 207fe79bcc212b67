"""An engine in memory, for tests that need no real one. `engine_contract` compares it with those that there are.

It has the rooms of `Engine`, and what they promise, no more: what the engine room makes of a real engine's answers is
tested there.
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
from fake_engine.world import World, unasked

__all__ = ["FakeEngine", "World"]


class FakeEngine(Engine):
    """One caller's way to a world; several callers may share one."""

    def __init__(self, world: World | None = None, *, gate: Callable[[Callable[[], Any]], Any] | None = None) -> None:
        """Open a world, a new one where none is given.

        Args:
            world: What the engine holds.
            gate: Carries out each call, or does not: what it raises, the caller sees.
        """
        self.world = world or World()
        self.gate = gate or (lambda call: call())
        self._session = unasked()
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
        """There is nothing to close."""

    def add(self, image: str, labels: dict[str, str] | None = None, *names: str, **more: Any) -> None:
        """Let the world hold an image; see `World.add`."""
        self.world.add(image, labels, *names, **more)
