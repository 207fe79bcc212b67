"""Containers of a fake engine. They can run the commands of `shell`."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.confinement import Confinement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.containers import (
    BuildContainer,
    Containers,
    ProcessInfo,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import ContainerInfo
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.services import (
    ContainerSettings,
    Services,
    ServiceState,
)
from fake_engine import archives, shell
from fake_engine.world import PLAIN, StoredContainer, World, engine_call, has_label, no_session, rejection

_KILLED = 137


class FakeContainers(Containers):
    def __init__(self, engine: Any) -> None:
        super().__init__(no_session(), PLAIN)
        self._engine = engine

    @property
    def _world(self) -> World:
        return self._engine.world

    @engine_call
    def start(
        self,
        *,
        name: str,
        image: str,
        tier: str,
        labels: Mapping[str, str],
        confined: Confinement,
        environment: Mapping[str, str] | None = None,  # noqa: ARG002 - no command here reads it
    ) -> BuildContainer:
        doing = f"tier {tier!r}: starting build container {name}"
        if any(container.name == name for container in self._world.containers.values()):
            raise rejection(f"{doing}: the engine says: Conflict. The container name {name} is already in use", 409)
        container = create(self._world, image, name, labels, doing)
        container.volumes = frozenset(mount["Source"] for mount in confined.mounts if "Source" in mount)
        container.mounts = tuple(mount["Target"] for mount in confined.mounts)
        container.command, container.on_term = ("/bin/sh", "-c", "sleep"), 0
        return BuildContainer(container.id, name)

    @engine_call
    def inspect(self, container: str) -> ContainerInfo:
        stored = self._world.container(container, f"looking at container {container}")
        pid = 1 if stored.runs else 0
        return ContainerInfo(
            stored.id, stored.image, stored.labels, stored.runs, pid, time.time_ns(), stored.mounts, None
        )

    @engine_call
    def commands(self, container: str) -> list[str]:
        doing = f"asking what runs in container {container}"
        stored = self._world.container(container, doing)
        if not stored.runs:
            raise rejection(f"{doing}: the engine says: Container {container} is not running", 409)
        return [f"root 1 0 0 00:00 ? 00:00:00 {' '.join(stored.command)}"]

    @engine_call
    def processes_inside(self, container: str) -> list[ProcessInfo]:
        stored = self._world.container(container, f"listing the processes of container {container}")
        return [ProcessInfo(1, 0, " ".join(stored.command))]

    @engine_call
    def pause(self, container: str) -> bool:
        stored = self._world.container(container, f"pausing container {container}")
        if stored.state != "running":
            return False
        stored.state = "paused"
        return True

    @engine_call
    def end(self, container: str) -> None:
        stored = self._world.container(container, f"ending container {container}")
        if stored.runs:
            stored.state, stored.exit_code = "exited", _KILLED

    @engine_call
    def remove(self, container: str) -> None:
        self._world.containers = {
            identifier: stored
            for identifier, stored in self._world.containers.items()
            if container not in {stored.id, stored.name}
        }

    @engine_call
    def find(self, label: str, *, except_images: Collection[str] = ()) -> list[tuple[str, dict[str, str]]]:
        others = [stored for stored in self._world.containers.values() if stored.image not in except_images]
        return [(stored.id, stored.labels) for stored in others if has_label(stored.labels, label)]

    @engine_call
    def sources(self) -> set[str]:
        return {container.image for container in self._world.containers.values()}


class FakeServices(Services):
    """Containers of finished images. A command with `sleep` runs until it is stopped; any other ends at once."""

    def __init__(self, engine: Any) -> None:
        super().__init__(no_session(), engine.containers, PLAIN)
        self._engine = engine

    @property
    def _world(self) -> World:
        return self._engine.world

    @engine_call
    def start(self, setting: ContainerSettings) -> str:
        doing = f"starting a container of image {setting.image}"
        networks = {"bridge", "none", *(name for name, _labels in self._world.networks.values())}
        if missing := set(setting.networks) - networks:
            raise rejection(f"{doing}: the engine says: network {missing.pop()} not found", 404)
        container = create(self._world, setting.image, None, setting.labels, doing)
        config = self._world.images[container.image].config
        default = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
        container.command = tuple(setting.command or default)
        container.user = setting.user or config.get("User") or ""
        container.networks = {name: tuple(aliases) for name, aliases in setting.networks.items()}
        container.health = "starting" if config.get("Healthcheck") and not setting.bare else None
        if container.files and container.command[0] not in container.files:
            del self._world.containers[container.id]
            raise rejection(f'{doing}: the engine says: exec: "{container.command[0]}": no such file or directory', 400)
        container.on_term = shell.exit_status_on_term(container.command)
        if not shell.runs_until_stopped(container.command):
            result = shell.run(container, list(container.command), b"")
            container.state, container.exit_code = "exited", container.exit_code if result.code is None else result.code
            container.log = (result.stdout + result.stderr).decode()
        return container.id

    @engine_call
    def state(self, container: str) -> ServiceState:
        stored = self._world.container(container, f"looking at container {container}")
        addresses = {name: f"172.30.0.{number + 2}" for number, name in enumerate(stored.networks) if stored.runs}
        return ServiceState(stored.runs, None if stored.runs else stored.exit_code, stored.health, addresses)

    @engine_call
    def logs(self, container: str, lines: int | None = None) -> str:
        stored = self._world.container(container, f"reading the log of container {container}")
        return stored.log if lines is None else "".join(stored.log.splitlines(keepends=True)[-lines:])

    @engine_call
    def stop(self, container: str, timeout: int) -> None:  # noqa: ARG002 - stopping takes no time here
        stored = self._world.container(container, f"stopping container {container}")
        if stored.runs:
            stored.state, stored.exit_code = "exited", _KILLED if stored.on_term is None else stored.on_term

    @engine_call
    def processes(self, container: str) -> list[tuple[int, str]]:
        stored = self._world.container(container, f"listing the processes of container {container}")
        user_id = stored.user.partition(":")[0]
        return [(int(user_id or 0), " ".join(stored.command))] if stored.runs else []


def create(world: World, image: str, name: str | None, labels: Mapping[str, str], doing: str) -> StoredContainer:
    """Add a running container of an image. It has the labels of the image, and `labels`."""
    image_id = world.image(image, doing)
    identifier = f"{next(world.numbers):064x}"
    inherited = world.images[image_id].labels
    container = StoredContainer(identifier, name or identifier[-12:], image_id, {**inherited, **labels})
    container.user = world.images[image_id].config.get("User") or ""
    container.files = archives.tree(world, image_id)
    world.containers[identifier] = container
    return container
