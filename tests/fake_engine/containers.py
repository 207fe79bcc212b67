"""Containers of a fake engine; what runs in one is what `shell` knows."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.confinement import Confinement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.containers import BuildContainer, Containers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import ContainerInfo
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.services import (
    ContainerSettings,
    Services,
    ServiceState,
)
from fake_engine import archives, shell
from fake_engine.world import PLAIN, HeldContainer, World, asked, carries, refused, unasked

_KILLED = 137


class FakeContainers(Containers):
    def __init__(self, engine: Any) -> None:
        super().__init__(unasked(), PLAIN)
        self._engine = engine

    @property
    def _world(self) -> World:
        return self._engine.world

    @asked
    def start(
        self,
        *,
        name: str,
        image: str,
        tier: str,
        labels: Mapping[str, str],
        confined: Confinement,
        environment: Mapping[str, str] | None = None,  # noqa: ARG002 - nothing here reads it
    ) -> BuildContainer:
        doing = f"tier {tier!r}: starting build container {name}"
        if any(each.name == name for each in self._world.containers.values()):
            raise refused(f"{doing}: the engine says: Conflict. The container name {name} is already in use", 409)
        made = create(self._world, image, name, labels, doing)
        made.volumes = frozenset(each["Source"] for each in confined.mounts if "Source" in each)
        made.mounts = tuple(each["Target"] for each in confined.mounts)
        made.command, made.on_term = ("/bin/sh", "-c", "sleep"), 0
        return BuildContainer(made.id, name)

    @asked
    def inspect(self, container: str) -> ContainerInfo:
        found = self._world.container(container, f"looking at container {container}")
        pid = 1 if found.runs else 0
        return ContainerInfo(found.id, found.image, found.labels, found.runs, pid, time.time_ns(), found.mounts, None)

    @asked
    def commands(self, container: str) -> list[str]:
        doing = f"asking what runs in container {container}"
        found = self._world.container(container, doing)
        if not found.runs:
            raise refused(f"{doing}: the engine says: Container {container} is not running", 409)
        return [f"root 1 0 0 00:00 ? 00:00:00 {' '.join(found.command)}"]

    @asked
    def pause(self, container: str) -> bool:
        found = self._world.container(container, f"pausing container {container}")
        if found.state != "running":
            return False
        found.state = "paused"
        return True

    @asked
    def end(self, container: str) -> None:
        found = self._world.container(container, f"ending container {container}")
        if found.runs:
            found.state, found.exit_code = "exited", _KILLED

    @asked
    def remove(self, container: str) -> None:
        self._world.containers = {
            identifier: each
            for identifier, each in self._world.containers.items()
            if container not in {each.id, each.name}
        }

    @asked
    def find(self, label: str, *, except_images: Collection[str] = ()) -> list[tuple[str, dict[str, str]]]:
        others = [held for held in self._world.containers.values() if held.image not in except_images]
        return [(held.id, held.labels) for held in others if carries(held.labels, label)]

    @asked
    def sources(self) -> set[str]:
        return {each.image for each in self._world.containers.values()}


class FakeServices(Services):
    """Containers of finished images. A command that waits runs until it is stopped; any other has ended at once."""

    def __init__(self, engine: Any) -> None:
        super().__init__(unasked(), engine.containers, PLAIN)
        self._engine = engine

    @property
    def _world(self) -> World:
        return self._engine.world

    @asked
    def start(self, setting: ContainerSettings) -> str:
        doing = f"starting a container of image {setting.image}"
        known = {"bridge", "none", *(name for name, _labels in self._world.networks.values())}
        if missing := set(setting.networks) - known:
            raise refused(f"{doing}: the engine says: network {missing.pop()} not found", 404)
        made = create(self._world, setting.image, None, setting.labels, doing)
        config = self._world.images[made.image].config
        own = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
        made.command = tuple(setting.command or own)
        made.user = setting.user or config.get("User") or ""
        made.networks = {name: tuple(aliases) for name, aliases in setting.networks.items()}
        made.health = "starting" if config.get("Healthcheck") and not setting.bare else None
        if made.files and made.command[0] not in made.files:
            del self._world.containers[made.id]
            raise refused(f'{doing}: the engine says: exec: "{made.command[0]}": no such file or directory', 400)
        made.on_term = shell.listens(made.command)
        if not shell.waits(made.command):
            done = shell.run(made, list(made.command), b"")
            made.state, made.exit_code = "exited", made.exit_code if done.code is None else done.code
            made.log = (done.stdout + done.stderr).decode()
        return made.id

    @asked
    def state(self, container: str) -> ServiceState:
        found = self._world.container(container, f"looking at container {container}")
        addresses = {name: f"172.30.0.{number + 2}" for number, name in enumerate(found.networks) if found.runs}
        return ServiceState(found.runs, None if found.runs else found.exit_code, found.health, addresses)

    @asked
    def logs(self, container: str, lines: int | None = None) -> str:
        found = self._world.container(container, f"reading the log of container {container}")
        return found.log if lines is None else "".join(found.log.splitlines(keepends=True)[-lines:])

    @asked
    def stop(self, container: str, timeout: int) -> None:  # noqa: ARG002 - nothing here takes time
        found = self._world.container(container, f"stopping container {container}")
        if found.runs:
            found.state, found.exit_code = "exited", _KILLED if found.on_term is None else found.on_term

    @asked
    def processes(self, container: str) -> list[tuple[int, str]]:
        found = self._world.container(container, f"listing the processes of container {container}")
        number = found.user.partition(":")[0]
        return [(int(number or 0), " ".join(found.command))] if found.runs else []


def create(world: World, image: str, name: str | None, labels: Mapping[str, str], doing: str) -> HeldContainer:
    """Make a container of an image, with its labels, as if it ran."""
    found = world.image(image, doing)
    identifier = f"{next(world.numbers):064x}"
    inherited = world.images[found].labels
    made = HeldContainer(identifier, name or identifier[-12:], found, {**inherited, **labels})
    made.user = world.images[found].config.get("User") or ""
    made.files = archives.tree(world, found)
    world.containers[identifier] = made
    return made
