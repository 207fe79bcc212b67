"""A chain for faults: what is released, what is changed, and whether all is well after something died."""

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

#: What is asked of the engine at the moments that matter.
END = r"POST \S+/containers/\S+/kill"
LOAD = r"POST \S+/images/load"
NAME = r"POST \S+/images/\S+/tag\?tag=key-"
RELEASE = r"POST \S+/images/\S+/tag\?tag=latest"


@dataclass
class Faulty:
    """A chain with releases, and changes of all its tiers that are not built yet."""

    chain: SmallChain
    environment: dict[str, str]
    #: What the tiers' files say that come next.
    version: int = 0
    #: Whether the last version is released: what a test that failed has left is not the next one's release.
    released: bool = False
    #: The last release's images, by tier.
    before: dict[str, str] = field(default_factory=dict)
    #: What all its tiers say besides.
    variables: dict[str, str] = field(default_factory=dict)
    #: The run that was started last.
    running: subprocess.Popen[bytes] | None = None
    #: What other people's builds have on the engine.
    others: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.others = self.of_builds()

    def of_builds(self) -> set[str]:
        engine = self.chain.engine
        mine: dict[str, Any] = {"label": labels.RUN}
        containers = engine.containers.list(all=True, filters=mine, ignore_removed=True)
        return {str(each.id) for each in (*containers, *engine.images.list(filters=mine))}

    def start(self, address: str) -> subprocess.Popen[bytes]:
        """Build against an engine's address, in a process group of its own."""
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
        """A test's beginning: there is a release, and there are changes besides."""
        if self.running is not None and self.running.poll() is None:  # of a test that failed
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
        """Each image with a name is one that a tier's build ended with: its own labels, its layer on its parent's."""
        images = {image.id: image for image in self.chain.engine.images.list()}
        mine = {tag: image for image in images.values() for tag in image.tags if tag.startswith(f"{self.chain.name}/")}
        for tag, image in mine.items():
            tier = tag.removeprefix(f"{self.chain.name}/").partition(":")[0]
            below = images[image.labels[labels.PARENT]].attrs["RootFS"]["Layers"]
            assert image.labels[labels.TIER] == tier
            assert labels.RUN not in image.labels
            assert image.attrs["RootFS"]["Layers"][:-1] == below
        return bool(mine)

    def nothing_is_left(self) -> bool:
        """No build container, no nameless image of the chain, no journal, no note of a promotion."""
        mine = {"label": f"{labels.CHAIN}={self.chain.name}", "dangling": True}
        assert self.chain.engine.images.list(filters=mine) == []
        assert self.of_builds() <= self.others
        folder = Path(self.environment["XDG_STATE_HOME"], "tierwright", self.chain.name)
        kept = {"promotion.lock", "runs", "standing.json", "standing.lock", "turn.lock"}
        return {path.name for path in folder.rglob("*")} == kept

    def next_run_recovers(self) -> str:
        """All tiers are released in their changed form, each on its parent's."""
        healed = self.chain.build(env=self.environment).expect().output
        assert self.tagged_images_are_complete()
        assert self.nothing_is_left()
        state = self.state
        for below, tier in pairwise(TIERS):
            assert self.chain.image(tier).labels[labels.PARENT] == state[below]
        said = self.chain.run("three", "cat", *(f"/etc/{tier}" for tier in TIERS))
        assert said == f"{self.version}\n" * 3
        assert set(state.values()).isdisjoint(self.before.values())
        assert self.chain.build(env=self.environment).expect().output.count("keep   nothing changed") == 4
        self.released = True
        return healed


@contextlib.contextmanager
def relay_holding(address: str, request: str, number: int) -> Iterator[HoldingRelay]:
    """An address of the engine at which a request of this kind, number `number` of them, does not get through."""
    gate = HoldingRelay(address.removeprefix("unix://"), request, number)
    gate.start()
    yield gate
    gate.close()
    gate.join()
