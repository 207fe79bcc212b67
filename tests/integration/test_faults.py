"""A run that is killed at any moment: no incomplete image gets a name, and the next run repairs the chain.

`test_build` has two more cases: a run that is killed in the middle of a task, and one that is interrupted.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address

from .conftest import MakeChain
from .faulty import END, LOAD, NAME, RELEASE, TIERS, Faulty, relay_holding

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def shared_chain(
    make_chain: MakeChain, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Faulty]:
    with make_chain(tmp_path_factory.mktemp("chain")) as chain:
        yield Faulty(chain, environment)


@pytest.fixture
def faulty(shared_chain: Faulty) -> Faulty:
    return shared_chain.begin()


def kill_at(faulty: Faulty, request: str, number: int) -> None:
    """Kill a run with all its processes before the engine gets a request."""
    with relay_holding(engine_address(), request, number) as gate:
        running = faulty.start(gate.address)
        assert gate.reached.wait(120), running.poll()
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("request_", "number"),
    [(END, 2), (LOAD, 4), (NAME, 2)],
    ids=["before the layer", "before the image", "before its name"],
)
def test_the_chain_recovers_if_a_run_is_killed_during_sealing(faulty, request_, number):
    kill_at(faulty, request_, number)
    assert faulty.state == faulty.before
    assert faulty.tagged_images_are_complete()
    assert "removed what the killed run" in faulty.next_run_recovers()


@pytest.mark.sampled
@pytest.mark.parametrize("number", [1, 2, 3], ids=["before the first tag", "before the second", "before the last"])
def test_the_chain_recovers_if_a_run_is_killed_during_promotion(faulty, number):
    kill_at(faulty, RELEASE, number)
    now = faulty.state
    assert [tier for tier in TIERS if now[tier] != faulty.before[tier]] == list(TIERS[: number - 1])
    assert faulty.tagged_images_are_complete()
    result = faulty.chain.build("--check").expect()
    assert "a promotion was interrupted; the next run first finishes it or takes it back" in result.output
    assert faulty.state == now
    assert "a promotion was interrupted: its last tags have moved now" in faulty.next_run_recovers()


def test_a_rollback_finishes_an_interrupted_promotion(faulty):
    kill_at(faulty, RELEASE, 2)
    result = faulty.chain.playbook("playbooks/rollback.yml", "-i", str(faulty.chain.folder / "chain.yml")).expect()
    assert "a promotion was interrupted: its last tags have moved now" in result.output
    assert faulty.state == faulty.before
    assert faulty.nothing_is_left()
