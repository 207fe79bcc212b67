from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Cage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.confinement import (
    Confinement,
    confined,
    host_config,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import System


def test_a_build_container_is_confined():
    config = host_config(Confinement(Cage(), "debian"))
    assert config["privileged"] is False
    assert config["cap_drop"] == ["ALL"]
    assert set(config["cap_add"]) == {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert "no-new-privileges" in config["security_opt"]
    assert config["pids_limit"] == 4096
    assert config["mem_limit"] == config["memswap_limit"] == 4 << 30


def test_a_tier_gets_what_it_asked_for():
    config = host_config(Confinement(Cage(("NET_RAW",), 1 << 30, 100), "debian"))
    assert config["cap_add"][-1] == "NET_RAW"
    assert (config["mem_limit"], config["pids_limit"]) == (1 << 30, 100)


def test_nothing_of_the_host_is_mounted():
    for family in ("debian", "redhat", None):
        mounts = host_config(Confinement(Cage(), family))["mounts"]
        assert all(mount["Type"] == "volume" and "Source" not in mount for mount in mounts)


def test_scratch_volumes_are_only_for_the_distribution_that_has_the_folders():
    mounts = host_config(Confinement(Cage(), "debian"))["mounts"]
    assert {mount["Target"] for mount in mounts} == {"/var/cache/apt", "/var/lib/apt/lists"}
    assert host_config(Confinement(Cage(), None))["mounts"] == []


@pytest.mark.parametrize(
    ("able", "without"),
    [
        ({"MemoryLimit": True, "PidsLimit": True}, set()),
        ({}, set()),
        ({"MemoryLimit": False, "PidsLimit": True}, {"mem_limit", "memswap_limit"}),
        ({"MemoryLimit": False, "PidsLimit": False}, {"mem_limit", "memswap_limit", "pids_limit"}),
    ],
)
def test_a_limit_that_the_engine_cannot_hold_is_left_out_and_told(able, without):
    system = System(SimpleNamespace(api=SimpleNamespace(info=lambda: able)))
    told = []
    config = host_config(confined(system, Cage(), family="debian", say=told.append))
    assert host_config(Confinement(Cage(), "debian")).keys() - config.keys() == without
    assert len(told) == len([name for name, can in able.items() if not can])
