"""A fake engine's volumes and networks, and the engine itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.networks_and_volumes import (
    Networks,
    Volumes,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import DOCKER, EngineKind, System
from fake_engine.world import asked, carries, refused, unasked


class FakeVolumes(Volumes):
    def __init__(self, engine: Any) -> None:
        super().__init__(unasked())
        self._engine = engine

    @asked
    def find(self, name: str) -> dict[str, str] | None:
        return self._engine.world.volumes.get(name)

    @asked
    def create(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        return self._engine.world.volumes.setdefault(name, dict(labels))

    @asked
    def remove(self, name: str) -> None:
        if not any(name in each.volumes for each in self._engine.world.containers.values()):
            self._engine.world.volumes.pop(name, None)

    @asked
    def sizes(self, names: Collection[str]) -> int:  # noqa: ARG002 - nothing is in them
        return 0

    @asked
    def labelled(self, label: str) -> dict[str, dict[str, str]]:
        return {name: labels for name, labels in self._engine.world.volumes.items() if carries(labels, label)}


class FakeNetworks(Networks):
    def __init__(self, engine: Any) -> None:
        super().__init__(unasked())
        self._engine = engine

    @asked
    def create(self, name: str, labels: Mapping[str, str]) -> str:
        identifier = f"{next(self._engine.world.numbers):064x}"
        self._engine.world.networks[identifier] = name, dict(labels)
        return identifier

    @asked
    def find(self, label: str) -> list[tuple[str, dict[str, str]]]:
        found = self._engine.world.networks.items()
        return [(identifier, labels) for identifier, (_name, labels) in found if carries(labels, label)]

    @asked
    def reaches(self, name: str) -> bool:
        return name in {known for known, _labels in self._engine.world.networks.values()}

    @asked
    def remove(self, network: str) -> None:
        name, _labels = self._engine.world.networks.get(network, ("", {}))
        if any(name in each.networks for each in self._engine.world.containers.values()):
            raise refused(f"removing network {network}: the engine says: network {name} has active endpoints", 403)
        self._engine.world.networks.pop(network, None)


class FakeSystem(System):
    #: What the engine is taken for.
    does = DOCKER
    machine = ("linux", "amd64")
    unlimited: tuple[str, ...] = ()

    def __init__(self, engine: Any) -> None:
        super().__init__(unasked())
        self._engine = engine

    @asked
    def version(self) -> str:
        return "0"

    @asked
    def kind(self) -> EngineKind:
        return self.does

    @asked
    def platform(self) -> tuple[str, str]:
        return self.machine

    @asked
    def missing_limits(self) -> list[str]:
        return list(self.unlimited)
