"""Whatever dies, and whenever: no name is given to anything half-made, and the next run needs nobody's help.

`test_build` has the other two: a run that is killed in the middle of a task, and one that is interrupted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.address import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils.image import labels
from relay import Gate

from .conftest import ROOT, MakeChain, SmallChain
from .containers import PYTHON
from .engines import SecondEngine, wait_for

WRITE = """
- name: Write VERSION
  ansible.builtin.copy: {content: "VERSION\\n", dest: "/etc/{{ inventory_hostname }}", mode: "0644"}
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
    #: What other people's builds have on the engine.
    others: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.others = self.of_builds()

    def of_builds(self) -> set[str]:
        engine, mine = self.chain.engine, {"label": labels.RUN}
        containers = engine.containers.list(all=True, filters=mine, ignore_removed=True)
        return {each.id for each in (*containers, *engine.images.list(filters=mine))}

    def start(self, address: str) -> subprocess.Popen[bytes]:
        """Build against an engine's address, in a process group of its own."""
        return subprocess.Popen(
            ["ansible-playbook", "build-chain.yml", "-i", str(self.chain.folder / "chain.yml")],
            cwd=ROOT,
            env={**self.environment, "DOCKER_HOST": address},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def state(self) -> dict[str, str]:
        return {tier: self.chain.image(tier).id for tier in TIERS}

    def begin(self) -> Faulty:
        """A test's beginning: there is a release, and there are changes besides."""
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

    def every_name_is_whole(self) -> bool:
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

    def the_next_run_heals_it(self) -> str:
        """All tiers are released in their changed form, each on its parent's."""
        healed = self.chain.build(env=self.environment).expect().output
        assert self.every_name_is_whole()
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


@pytest.fixture(scope="module")
def shared_chain(
    make_chain: MakeChain, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Faulty]:
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        yield Faulty(chain, environment)


@pytest.fixture
def faulty(shared_chain: Faulty) -> Faulty:
    return shared_chain.begin()


@contextlib.contextmanager
def held_at(address: str, request: str, number: int) -> Iterator[Gate]:
    """An address of the engine at which a request of this kind, number `number` of them, does not get through."""
    gate = Gate(address.removeprefix("unix://"), request, number)
    gate.start()
    yield gate
    gate.close()
    gate.join()


def killed_at(faulty: Faulty, request: str, number: int) -> None:
    """Kill a run, all its processes, while the engine has not got a request yet."""
    with held_at(engine_address(), request, number) as gate:
        running = faulty.start(gate.address)
        assert gate.reached.wait(120), running.poll()
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.mark.once
@pytest.mark.parametrize(
    ("request_", "number"),
    [(END, 2), (LOAD, 4), (NAME, 2)],
    ids=["before the layer", "before the image", "before its name"],
)
def test_a_run_that_is_killed_while_it_seals(faulty, request_, number):
    killed_at(faulty, request_, number)
    assert faulty.state == faulty.before
    assert faulty.every_name_is_whole()
    assert "cleared what the killed run" in faulty.the_next_run_heals_it()


@pytest.mark.once
@pytest.mark.parametrize("number", [1, 2, 3], ids=["before the first tag", "before the second", "before the last"])
def test_a_run_that_is_killed_while_it_promotes(faulty, number):
    killed_at(faulty, RELEASE, number)
    now = faulty.state
    assert [tier for tier in TIERS if now[tier] != faulty.before[tier]] == list(TIERS[: number - 1])
    assert faulty.every_name_is_whole()
    told = faulty.chain.build("--check").expect()
    assert "a promotion was interrupted; the next run brings it to an end first" in told.output
    assert faulty.state == now
    assert "a promotion was interrupted: its last tags have moved now" in faulty.the_next_run_heals_it()


@pytest.mark.once
def test_a_rollback_finishes_what_was_interrupted_as_well(faulty):
    killed_at(faulty, RELEASE, 2)
    done = faulty.chain.playbook("playbooks/rollback.yml", "-i", str(faulty.chain.folder / "chain.yml")).expect()
    assert "a promotion was interrupted: its last tags have moved now" in done.output
    assert faulty.state == faulty.before
    assert faulty.nothing_is_left()


@pytest.fixture(scope="module")
def python_rootfs(engine: Any, python_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A base that needs no interpreter: an engine without a network could not make one."""
    path = tmp_path_factory.mktemp("rootfs") / "base.tar"
    container = engine.containers.create(python_image, command=["-"])
    digest = hashlib.sha256()
    try:
        with path.open("wb") as file:
            for piece in container.export():
                digest.update(piece)
                file.write(piece)
    finally:
        container.remove()
    return {"archive": str(path), "checksum": f"sha256:{digest.hexdigest()}"}


@contextlib.contextmanager
def another_engine(disk: str = "") -> Iterator[SecondEngine]:
    with tempfile.TemporaryDirectory(prefix="twtest-") as folder:
        second = SecondEngine(Path(folder), disk)
        try:
            yield second
        finally:
            second.clear()


@pytest.fixture(scope="module")
def second_engine() -> Iterator[SecondEngine]:
    with another_engine() as second:
        yield second


@pytest.fixture(scope="module")
def chain_elsewhere(second_engine, tmp_path_factory, playbook, environment, python_rootfs) -> Faulty:
    return chain_on(second_engine, tmp_path_factory.mktemp("chain"), playbook, environment, python_rootfs)


def chain_on(second, folder, playbook, environment, rootfs) -> Faulty:
    name = f"twtest-{secrets.token_hex(4)}"
    chain = SmallChain(folder, name, playbook, second.client)
    chain.tier("base", image="twtest/base", **{"import": rootfs})
    variables = {"python_interpreter": PYTHON}
    return Faulty(chain, {**environment, "DOCKER_HOST": second.address}, variables=variables)


def revived(faulty: Faulty, second: SecondEngine) -> None:
    second.start()
    faulty.chain.engine = second.client


@pytest.fixture
def elsewhere(chain_elsewhere: Faulty, second_engine: SecondEngine) -> Faulty:
    """The same on an engine that may be killed."""
    if second_engine.process.poll() is not None:  # by a test that failed
        revived(chain_elsewhere, second_engine)
    return chain_elsewhere.begin()


@pytest.mark.once
def test_an_engine_that_is_killed_in_the_middle_of_a_task(elsewhere, second_engine):
    elsewhere.change("- name: Take long\n  ansible.builtin.command: sleep 600\n")
    running = elsewhere.start(second_engine.address)
    wait_for(lambda: "sleep 600" in str([each.top() for each in second_engine.client.containers.list()]))
    second_engine.kill()
    assert running.wait(60) != 0
    revived(elsewhere, second_engine)
    assert elsewhere.state == elsewhere.before
    assert elsewhere.every_name_is_whole()
    elsewhere.change()
    elsewhere.the_next_run_heals_it()


@pytest.mark.once
@pytest.mark.parametrize(
    ("request_", "number"),
    [(END, 2), (LOAD, 4), (RELEASE, 2)],
    ids=["before the layer", "before the image", "in the middle of a promotion"],
)
def test_an_engine_that_is_killed_and_started_again(elsewhere, second_engine, request_, number):
    with held_at(second_engine.address, request_, number) as gate:
        running = elsewhere.start(gate.address)
        assert gate.reached.wait(120), running.poll()
        second_engine.kill()
    assert running.wait(60) != 0
    revived(elsewhere, second_engine)
    assert elsewhere.every_name_is_whole()
    healed = elsewhere.the_next_run_heals_it()
    assert ("a promotion was interrupted" in healed) is (request_ == RELEASE)


@pytest.fixture(scope="module")
def small_engine() -> Iterator[SecondEngine]:
    """An engine with little space."""
    with another_engine("700m") as second:
        yield second


@pytest.fixture(scope="module")
def cramped_chain(small_engine, tmp_path_factory, playbook, environment, python_rootfs) -> Faulty:
    return chain_on(small_engine, tmp_path_factory.mktemp("chain"), playbook, environment, python_rootfs)


@pytest.fixture
def cramped(cramped_chain: Faulty) -> Faulty:
    return cramped_chain.begin()


@pytest.mark.once
@pytest.mark.parametrize(
    ("share", "message"),
    [(1.1, "task 'Fill the disk'"), (0.6, "task 'Seal the layer'")],
    ids=["task", "seal"],
)
def test_a_full_disk(cramped, small_engine, share, message):
    """A file that the disk has no room for, and one that it has room for once, but not for a layer as well."""
    megabytes = int(small_engine.free() * share) >> 20
    fill = f"- name: Fill the disk\n  ansible.builtin.command: dd if=/dev/urandom of=/big bs=1M count={megabytes}\n"
    cramped.change(fill)
    failed = cramped.chain.build(env=cramped.environment).expect(2)
    assert f"tier 'one' is given up; {message}" in failed.message
    assert "no space left on device" in failed.message.lower()
    assert cramped.state == cramped.before
    assert cramped.every_name_is_whole()
    cramped.change()
    cramped.the_next_run_heals_it()
