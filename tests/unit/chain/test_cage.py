from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import (
    CAPABILITIES,
    MORE_CAPABILITIES,
    Cage,
    read_cage,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError


def test_nothing_said_is_the_usual_cage():
    assert read_cage("web", None) == read_cage("web", {}) == read_cage("web", {"memory": None}) == Cage()
    assert Cage().additions == ""


@pytest.mark.parametrize(
    ("said", "cage"),
    [
        ({"capabilities": ["cap_net_raw", "KILL", "kill"]}, Cage(capabilities=("KILL", "NET_RAW"))),
        ({"capabilities": ["CHOWN"]}, Cage()),
        ({"memory": "512m"}, Cage(memory=512 << 20)),
        ({"memory": "2G"}, Cage(memory=2 << 30)),
        ({"memory": "1gb"}, Cage(memory=1 << 30)),
        ({"memory": "67108864"}, Cage(memory=64 << 20)),
        ({"pids": 100}, Cage(pids=100)),
    ],
)
def test_what_can_be_said(said, cage):
    assert read_cage("web", said) == cage


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"capabilities": ["SYS_ADMIN"]}, "'SYS_ADMIN', which is not allowed: it is equivalent to root"),
        ({"capabilities": ["cap_sys_module"]}, "'SYS_MODULE', .* load code into the kernel"),
        ({"capabilities": ["SYS_PTRACE"]}, "read and change other processes"),
        ({"capabilities": ["ALL"]}, "means all capabilities"),
        ({"capabilities": ["FLY"]}, "'FLY', .* it is not known to be safe; allowed are: AUDIT"),
        ({"memory": "much"}, "memory is 'much'; expected a size such as 512m"),
        ({"memory": "1m"}, "from 64m to 64t"),
        ({"memory": "-1"}, "expected a size"),
        ({"pids": 3}, "pids is 3; expected a number of processes, from 32 to"),
        ({"pids": -1}, "pids is -1"),
    ],
)
def test_what_reaches_too_far_is_refused(said, message):
    with pytest.raises(ChainError, match=f"tier 'web': tier_cage.*{message}"):
        read_cage("web", said)


@given(st.lists(st.sampled_from([*CAPABILITIES, *MORE_CAPABILITIES])))
def test_what_was_asked_for_is_told_and_nothing_else(asked):
    cage = read_cage("web", {"capabilities": asked})
    assert set(cage.capabilities) == set(asked) - set(CAPABILITIES)
    assert all(name in cage.additions for name in cage.capabilities)


@given(st.text())
def test_a_memory_limit_is_a_size_or_an_error(text):
    with contextlib.suppress(ChainError):
        assert read_cage("web", {"memory": text}).memory >= 64 << 20
