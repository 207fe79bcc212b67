from __future__ import annotations

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.cage import host_config


def test_a_build_container_is_confined():
    config = host_config("debian")
    assert config["privileged"] is False
    assert config["cap_drop"] == ["ALL"]
    assert set(config["cap_add"]) == {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert "no-new-privileges" in config["security_opt"]
    assert config["pids_limit"] > 0


def test_nothing_of_the_host_is_mounted():
    for family in ("debian", "redhat", None):
        mounts = host_config(family)["mounts"]
        assert all(mount["Type"] == "volume" and "Source" not in mount for mount in mounts)


def test_scratch_volumes_are_only_for_the_distribution_that_has_the_folders():
    assert {mount["Target"] for mount in host_config("debian")["mounts"]} == {"/var/cache/apt", "/var/lib/apt/lists"}
    assert host_config(None)["mounts"] == []
