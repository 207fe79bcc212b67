"""A run that dies, and whenever: no name is given to anything half-made, and the next run needs nobody's help.

`test_build` has the other two: a run that is killed in the middle of a task, and one that is interrupted.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address

from .conftest import MakeChain
from .faulty import END, LOAD, NAME, RELEASE, TIERS, Faulty, held_at

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


def killed_at(faulty: Faulty, request: str, number: int) -> None:
    """Kill a run, all its processes, while the engine has not got a request yet."""
    with held_at(engine_address(), request, number) as gate:
        running = faulty.start(gate.address)
        assert gate.reached.wait(120), running.poll()
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.mark.parametrize(
    ("request_", "number"),
    [(END, 2), (LOAD, 4), (NAME, 2)],
    ids=["before the layer", "before the image", "before its name"],
)
def test_a_run_that_is_killed_while_it_seals(faulty, request_, number):
    killed_at(faulty, request_, number)
    assert faulty.state == faulty.before
    assert faulty.every_name_is_whole()
    assert "removed what the killed run" in faulty.the_next_run_heals_it()


@pytest.mark.parametrize("number", [1, 2, 3], ids=["before the first tag", "before the second", "before the last"])
def test_a_run_that_is_killed_while_it_promotes(faulty, number):
    killed_at(faulty, RELEASE, number)
    now = faulty.state
    assert [tier for tier in TIERS if now[tier] != faulty.before[tier]] == list(TIERS[: number - 1])
    assert faulty.every_name_is_whole()
    told = faulty.chain.build("--check").expect()
    assert "a promotion was interrupted; the next run first finishes it or takes it back" in told.output
    assert faulty.state == now
    assert "a promotion was interrupted: its last tags have moved now" in faulty.the_next_run_heals_it()


def test_a_rollback_finishes_what_was_interrupted_as_well(faulty):
    killed_at(faulty, RELEASE, 2)
    done = faulty.chain.playbook("playbooks/rollback.yml", "-i", str(faulty.chain.folder / "chain.yml")).expect()
    assert "a promotion was interrupted: its last tags have moved now" in done.output
    assert faulty.state == faulty.before
    assert faulty.nothing_is_left()
