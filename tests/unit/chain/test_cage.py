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


def test_the_default_cage_has_no_additions():
    assert read_cage("web", None) == read_cage("web", {}) == read_cage("web", {"memory": None}) == Cage()
    assert Cage().additions == ""


@pytest.mark.parametrize(
    ("value", "cage"),
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
def test_a_valid_cage_is_read(value, cage):
    assert read_cage("web", value) == cage


@pytest.mark.parametrize(
    ("value", "message"),
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
def test_a_dangerous_or_invalid_cage_is_rejected(value, message):
    with pytest.raises(ChainError, match=f"tier 'web': tier_cage.*{message}"):
        read_cage("web", value)


@given(st.lists(st.sampled_from([*CAPABILITIES, *MORE_CAPABILITIES])))
def test_additions_list_exactly_the_requested_capabilities(requested):
    cage = read_cage("web", {"capabilities": requested})
    assert set(cage.capabilities) == set(requested) - set(CAPABILITIES)
    assert all(name in cage.additions for name in cage.capabilities)


@given(st.text())
def test_a_memory_limit_is_a_size_or_an_error(text):
    with contextlib.suppress(ChainError):
        assert read_cage("web", {"memory": text}).memory >= 64 << 20
