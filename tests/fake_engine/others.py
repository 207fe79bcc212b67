"""Volumes and networks of a fake engine, and the engine itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.networks_and_volumes import (
    Networks,
    Volumes,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import DOCKER, EngineKind, System
from fake_engine.world import engine_call, has_label, no_session, rejection


class FakeVolumes(Volumes):
    def __init__(self, engine: Any) -> None:
        super().__init__(no_session())
        self._engine = engine

    @engine_call
    def find(self, name: str) -> dict[str, str] | None:
        return self._engine.world.volumes.get(name)

    @engine_call
    def create(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        return self._engine.world.volumes.setdefault(name, dict(labels))

    @engine_call
    def remove(self, name: str) -> None:
        if not any(name in container.volumes for container in self._engine.world.containers.values()):
            self._engine.world.volumes.pop(name, None)

    @engine_call
    def sizes(self, names: Collection[str]) -> int:  # noqa: ARG002 - volumes are empty here
        return 0

    @engine_call
    def labelled(self, label: str) -> dict[str, dict[str, str]]:
        return {name: labels for name, labels in self._engine.world.volumes.items() if has_label(labels, label)}


class FakeNetworks(Networks):
    def __init__(self, engine: Any) -> None:
        super().__init__(no_session())
        self._engine = engine

    @engine_call
    def create(self, name: str, labels: Mapping[str, str], _options: Iterable[tuple[str, str]] = ()) -> str:
        identifier = f"{next(self._engine.world.numbers):064x}"
        self._engine.world.networks[identifier] = name, dict(labels)
        return identifier

    @engine_call
    def find(self, label: str) -> list[tuple[str, dict[str, str]]]:
        networks = self._engine.world.networks.items()
        return [(identifier, labels) for identifier, (_name, labels) in networks if has_label(labels, label)]

    @engine_call
    def reaches(self, name: str) -> bool:
        return name in {network for network, _labels in self._engine.world.networks.values()}

    @engine_call
    def remove(self, network: str) -> None:
        name, _labels = self._engine.world.networks.get(network, ("", {}))
        if any(name in container.networks for container in self._engine.world.containers.values()):
            raise rejection(f"removing network {network}: the engine says: network {name} has active endpoints", 403)
        self._engine.world.networks.pop(network, None)


class FakeSystem(System):
    #: The kind that the engine reports.
    engine_kind = DOCKER
    machine = ("linux", "amd64")
    unlimited: tuple[str, ...] = ()

    def __init__(self, engine: Any) -> None:
        super().__init__(no_session())
        self._engine = engine

    @engine_call
    def version(self) -> str:
        return "0"

    @engine_call
    def kind(self) -> EngineKind:
        return self.engine_kind

    @engine_call
    def platform(self) -> tuple[str, str]:
        return self.machine

    @engine_call
    def missing_limits(self) -> list[str]:
        return list(self.unlimited)
