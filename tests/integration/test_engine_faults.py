"""An engine that dies or whose disk is full: no incomplete image gets a name, and the next run repairs the chain."""

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

from .conftest import SmallChain, export_image
from .containers import PYTHON
from .engines import SecondEngine, runs, wait_for
from .faulty import END, LOAD, RELEASE, Faulty, relay_holding

pytestmark = pytest.mark.once


def one_fault(name: str) -> pytest.MarkDecorator:
    """Let a commit choose one of these faults. Each needs an engine of its own, and a chain on it."""
    return pytest.mark.sampled("faults of the engine", name)


@pytest.fixture(scope="module")
def python_rootfs(engine: Any, python_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A base with its own Python: an engine without a network cannot make the mounted one."""
    return export_image(engine, python_image, tmp_path_factory.mktemp("rootfs") / "base.tar")


@contextlib.contextmanager
def temporary_engine(disk: str = "") -> Iterator[SecondEngine]:
    with tempfile.TemporaryDirectory(prefix="twtest-") as folder:
        second = SecondEngine(Path(folder), disk)
        try:
            yield second
        finally:
            second.clear()


@pytest.fixture(scope="module")
def second_engine() -> Iterator[SecondEngine]:
    with temporary_engine() as second:
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


def restart(faulty: Faulty, second: SecondEngine) -> None:
    second.start()
    faulty.chain.engine = second.client


@pytest.fixture
def elsewhere(chain_elsewhere: Faulty, second_engine: SecondEngine) -> Faulty:
    """A chain on an engine that the test may kill."""
    if second_engine.process.poll() is not None:  # by a failed test
        restart(chain_elsewhere, second_engine)
    return chain_elsewhere.begin()


@one_fault("killed in a task")
def test_the_chain_recovers_if_the_engine_is_killed_during_a_task(elsewhere, second_engine):
    elsewhere.change("- name: Take long\n  ansible.builtin.command: sleep 600\n")
    running = elsewhere.start(second_engine.address)
    wait_for(lambda: runs(second_engine.client, "sleep 600"))
    second_engine.kill()
    assert running.wait(60) != 0
    restart(elsewhere, second_engine)
    assert elsewhere.state == elsewhere.before
    assert elsewhere.tagged_images_are_complete()
    elsewhere.change()
    elsewhere.next_run_recovers()


@pytest.mark.parametrize(
    ("request_", "number"),
    [
        pytest.param(END, 2, id="before the layer", marks=one_fault("killed before the layer")),
        pytest.param(LOAD, 4, id="before the image", marks=one_fault("killed before the image")),
        pytest.param(RELEASE, 2, id="in the middle of a promotion", marks=one_fault("killed in a promotion")),
    ],
)
def test_the_chain_recovers_if_the_engine_is_killed_before_a_request(elsewhere, second_engine, request_, number):
    with relay_holding(second_engine.address, request_, number) as gate:
        running = elsewhere.start(gate.address)
        assert gate.reached.wait(120), running.poll()
        second_engine.kill()
    assert running.wait(60) != 0
    restart(elsewhere, second_engine)
    assert elsewhere.tagged_images_are_complete()
    output = elsewhere.next_run_recovers()
    assert ("a promotion was interrupted" in output) is (request_ == RELEASE)


@pytest.mark.parametrize(
    ("request_", "number"),
    [
        pytest.param(END, 2, id="before the layer", marks=one_fault("removal before the layer")),
        pytest.param(LOAD, 4, id="before the image", marks=one_fault("removal before the image")),
    ],
)
def test_a_build_survives_the_removal_of_unused_images(elsewhere, second_engine, request_, number):
    """When an image is removed, containerd's store removes everything that no image needs at that moment."""
    client = second_engine.client
    with relay_holding(second_engine.address, request_, number) as gate:
        running = elsewhere.start(gate.address)
        assert gate.reached.wait(120), running.poll()
        container = client.containers.create(elsewhere.chain.image("base").id, ["true"])
        unused = container.commit(repository="twtest/rubbish").id
        container.remove()
        client.images.remove(unused)
        client.images.prune({"dangling": True})
        gate.open()
        assert running.wait(120) == 0
    assert elsewhere.tagged_images_are_complete()
    assert elsewhere.nothing_is_left()
    assert set(elsewhere.state.values()).isdisjoint(elsewhere.before.values())
    elsewhere.released = True


@pytest.fixture(scope="module")
def small_engine() -> Iterator[SecondEngine]:
    """An engine with a small disk, for the base and some layers, which containerd's store keeps twice."""
    with temporary_engine("1300m" if os.environ.get(machine.VARIABLE, "").endswith("containerd") else "700m") as second:
        yield second


@pytest.fixture(scope="module")
def cramped_chain(small_engine, tmp_path_factory, playbook, environment, python_rootfs) -> Faulty:
    return chain_on(small_engine, tmp_path_factory.mktemp("chain"), playbook, environment, python_rootfs)


@pytest.fixture
def cramped(cramped_chain: Faulty) -> Faulty:
    return cramped_chain.begin()


@pytest.mark.parametrize(
    ("share", "message"),
    [
        pytest.param(1.1, "task 'Fill the disk'", id="task", marks=one_fault("disk in a task")),
        pytest.param(0.6, "task 'Seal the layer'", id="seal", marks=one_fault("disk in a seal")),
    ],
)
def test_the_chain_recovers_from_a_full_disk(cramped, small_engine, share, message):
    """A file that does not fit on the disk, and one that fits on it once, but not a second time in a layer."""
    megabytes = int(small_engine.free() * share) >> 20
    fill = f"- name: Fill the disk\n  ansible.builtin.command: dd if=/dev/urandom of=/big bs=1M count={megabytes}\n"
    cramped.change(fill)
    failed = cramped.chain.build(env=cramped.environment).expect(2)
    assert f"FAILED one {message}" in failed.message
    assert "no space left on device" in failed.message.lower()
    assert cramped.state == cramped.before
    assert cramped.tagged_images_are_complete()
    cramped.change()
    cramped.next_run_recovers()
