"""An engine that dies, or whose disk is full: no name is given to anything half-made, and the next run heals it."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import machine

from .conftest import SmallChain, exported
from .containers import PYTHON
from .engines import SecondEngine, runs, wait_for
from .faulty import END, LOAD, RELEASE, Faulty, held_at

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def python_rootfs(engine: Any, python_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A base that needs no interpreter: an engine without a network could not make one."""
    return exported(engine, python_image, tmp_path_factory.mktemp("rootfs") / "base.tar")


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


def test_an_engine_that_is_killed_in_the_middle_of_a_task(elsewhere, second_engine):
    elsewhere.change("- name: Take long\n  ansible.builtin.command: sleep 600\n")
    running = elsewhere.start(second_engine.address)
    wait_for(lambda: runs(second_engine.client, "sleep 600"))
    second_engine.kill()
    assert running.wait(60) != 0
    revived(elsewhere, second_engine)
    assert elsewhere.state == elsewhere.before
    assert elsewhere.every_name_is_whole()
    elsewhere.change()
    elsewhere.the_next_run_heals_it()


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


@pytest.mark.parametrize(("request_", "number"), [(END, 2), (LOAD, 4)], ids=["before the layer", "before the image"])
def test_rubbish_that_is_removed_in_the_middle_of_a_build_is_not_missed(elsewhere, second_engine, request_, number):
    """Who removes an image lets containerd's store collect all that no image needs at that moment."""
    client = second_engine.client
    with held_at(second_engine.address, request_, number) as gate:
        running = elsewhere.start(gate.address)
        assert gate.reached.wait(120), running.poll()
        passing = client.containers.create(elsewhere.chain.image("base").id, ["true"])
        rubbish = passing.commit(repository="twtest/rubbish").id
        passing.remove()
        client.images.remove(rubbish)
        client.images.prune({"dangling": True})
        gate.open()
        assert running.wait(120) == 0
    assert elsewhere.every_name_is_whole()
    assert elsewhere.nothing_is_left()
    assert set(elsewhere.state.values()).isdisjoint(elsewhere.before.values())
    elsewhere.released = True


@pytest.fixture(scope="module")
def small_engine() -> Iterator[SecondEngine]:
    """An engine with little space: for the base and some layers, which containerd's store holds twice."""
    with another_engine("1300m" if os.environ.get(machine.VARIABLE, "").endswith("containerd") else "700m") as second:
        yield second


@pytest.fixture(scope="module")
def cramped_chain(small_engine, tmp_path_factory, playbook, environment, python_rootfs) -> Faulty:
    return chain_on(small_engine, tmp_path_factory.mktemp("chain"), playbook, environment, python_rootfs)


@pytest.fixture
def cramped(cramped_chain: Faulty) -> Faulty:
    return cramped_chain.begin()


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
    assert f"FAILED one {message}" in failed.message
    assert "no space left on device" in failed.message.lower()
    assert cramped.state == cramped.before
    assert cramped.every_name_is_whole()
    cramped.change()
    cramped.the_next_run_heals_it()
