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


def test_a_tier_gets_its_own_capabilities_and_limits():
    config = host_config(Confinement(Cage(("NET_RAW",), 1 << 30, 100), "debian"))
    assert config["cap_add"][-1] == "NET_RAW"
    assert (config["mem_limit"], config["pids_limit"]) == (1 << 30, 100)


def test_nothing_of_the_host_is_mounted():
    for family in ("debian", "redhat", None):
        mounts = host_config(Confinement(Cage(), family))["mounts"]
        assert all(mount["Type"] == "volume" and "Source" not in mount for mount in mounts)


def test_scratch_volumes_depend_on_the_distribution():
    mounts = host_config(Confinement(Cage(), "debian"))["mounts"]
    assert {mount["Target"] for mount in mounts} == {"/var/cache/apt", "/var/lib/apt/lists"}
    assert host_config(Confinement(Cage(), None))["mounts"] == []


@pytest.mark.parametrize(
    ("engine_info", "omitted"),
    [
        ({"MemoryLimit": True, "PidsLimit": True}, set()),
        ({}, set()),
        ({"MemoryLimit": False, "PidsLimit": True}, {"mem_limit", "memswap_limit"}),
        ({"MemoryLimit": False, "PidsLimit": False}, {"mem_limit", "memswap_limit", "pids_limit"}),
    ],
)
def test_an_unsupported_limit_is_omitted_with_a_message(engine_info, omitted):
    system = System(SimpleNamespace(get=lambda _path: engine_info))
    messages = []
    config = host_config(confined(system, Cage(), family="debian", say=messages.append))
    assert host_config(Confinement(Cage(), "debian")).keys() - config.keys() == omitted
    assert len(messages) == len([name for name, supported in engine_info.items() if not supported])
