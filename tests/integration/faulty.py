"""A chain for tests in which a run or an engine dies: its releases, its changes, and checks of its state."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from relay import HoldingRelay

from .conftest import ROOT, SmallChain

WRITE = """
- name: Write VERSION
  ansible.builtin.raw: echo VERSION > /etc/{{ inventory_hostname }}
"""
TIERS = ("one", "two", "three")

#: Requests to the engine at important moments of a run.
END = r"POST \S+/containers/\S+/kill"
LOAD = r"POST \S+/images/load"
NAME = r"POST \S+/images/\S+/tag\?tag=key-"
RELEASE = r"POST \S+/images/\S+/tag\?tag=latest"


@dataclass
class Faulty:
    """A chain with a release, and with changes in all tiers that are not built yet."""

    chain: SmallChain
    environment: dict[str, str]
    #: The version that the tasks write next.
    version: int = 0
    #: Whether the last version is released. After a failed test it is not, and the next test makes a new release.
    released: bool = False
    #: The images of the last release, by tier.
    before: dict[str, str] = field(default_factory=dict)
    #: Additional variables of all tiers.
    variables: dict[str, str] = field(default_factory=dict)
    #: The run that was started last.
    running: subprocess.Popen[bytes] | None = None
    #: Containers and images of foreign builds on the engine.
    others: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.others = self.objects_of_builds()

    def objects_of_builds(self) -> set[str]:
        engine = self.chain.engine
        filters: dict[str, Any] = {"label": labels.RUN}
        containers = engine.containers.list(all=True, filters=filters, ignore_removed=True)
        return {str(item.id) for item in (*containers, *engine.images.list(filters=filters))}

    def start(self, address: str) -> subprocess.Popen[bytes]:
        """Start a run with the engine at an address, in a new process group."""
        self.running = subprocess.Popen(
            ["ansible-playbook", "build-chain.yml", "-i", str(self.chain.folder / "chain.yml")],
            cwd=ROOT,
            env={**self.environment, "DOCKER_HOST": address},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self.running

    @property
    def state(self) -> dict[str, str]:
        return {tier: self.chain.image(tier).id for tier in TIERS}

    def begin(self) -> Faulty:
        """Prepare a test: make a release if necessary, and change all tiers."""
        if self.running is not None and self.running.poll() is None:  # started by a failed test
            os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()
        if not self.released:
            self.change()
            self.chain.build(env=self.environment).expect()
        self.before = self.state
        self.released = False
        self.change()
        return self

    def change(self, tasks: str = "") -> None:
        """Change every tier."""
        self.version += 1
        parents = dict(zip(TIERS, ("base", *TIERS), strict=False))
        for tier, parent in parents.items():
            self.chain.tier(tier, WRITE.replace("VERSION", str(self.version)) + tasks, parent=parent, **self.variables)
        self.chain.write()

    def tagged_images_are_complete(self) -> bool:
        """Check that each image with a name is complete: it has its labels, and its layer on those of its parent."""
        images = {image.id: image for image in self.chain.engine.images.list()}
        named = {tag: image for image in images.values() for tag in image.tags if tag.startswith(f"{self.chain.name}/")}
        for tag, image in named.items():
            tier = tag.removeprefix(f"{self.chain.name}/").partition(":")[0]
            parent_layers = images[image.labels[labels.PARENT]].attrs["RootFS"]["Layers"]
            assert image.labels[labels.TIER] == tier
            assert labels.RUN not in image.labels
            assert image.attrs["RootFS"]["Layers"][:-1] == parent_layers
        return bool(named)

    def nothing_is_left(self) -> bool:
        """Check that no build container, image without a name, journal or record of a promotion is left."""
        filters = {"label": f"{labels.CHAIN}={self.chain.name}", "dangling": True}
        assert self.chain.engine.images.list(filters=filters) == []
        assert self.objects_of_builds() <= self.others
        folder = Path(self.environment["XDG_STATE_HOME"], "tierwright", self.chain.name)
        files = {"logs", "promotion.lock", "runs", "standing.json", "standing.lock", "turn.lock"}
        found = [path.relative_to(folder) for path in folder.rglob("*")]
        return {path.name for path in found if "logs" not in path.parts[:-1]} == files

    def next_run_recovers(self) -> str:
        """Check that the next run releases all changed tiers, each on its new parent. Return the output of this run."""
        output = self.chain.build(env=self.environment).expect().output
        assert self.tagged_images_are_complete()
        assert self.nothing_is_left()
        state = self.state
        for parent, tier in pairwise(TIERS):
            assert self.chain.image(tier).labels[labels.PARENT] == state[parent]
        content = self.chain.run("three", "cat", *(f"/etc/{tier}" for tier in TIERS))
        assert content == f"{self.version}\n" * 3
        assert set(state.values()).isdisjoint(self.before.values())
        assert self.chain.build(env=self.environment).expect().output.count("keep   nothing changed") == 4
        self.released = True
        return output


@contextlib.contextmanager
def relay_holding(address: str, request: str, number: int) -> Iterator[HoldingRelay]:
    """A relay to the engine that holds the request number `number` of this kind."""
    relay = HoldingRelay(address.removeprefix("unix://"), request, number)
    relay.start()
    yield relay
    relay.close()
    relay.join()
