"""What a build container may do, on a real engine."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Cage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.confinement import confined
from sdk_client import as_engine

pytestmark = pytest.mark.once

STATUS = "- name: Look\n  ansible.builtin.shell: grep -E '^(CapEff|NoNewPrivs)' /proc/self/status >/etc/status\n"
KILL = 1 << 5


@pytest.fixture
def caged(engine, demo):
    """Start build containers with the given cage."""
    container_ids = []

    def start(cage):
        config = confined(as_engine(engine).system, cage, family="debian", say=print)
        container = as_engine(engine).containers.start(
            name="twtest-cage", image=demo["base"].id, tier="test", labels={}, confined=config
        )
        container_ids.append(container.id)
        return engine.containers.get(container.id)

    yield start
    for container_id in container_ids:
        as_engine(engine).containers.remove(container_id)


def test_extra_capabilities_are_granted_reported_and_recorded(small_chain):
    small_chain.tier("usual", STATUS, parent="base")
    small_chain.tier("more", STATUS, parent="base", cage={"capabilities": ["KILL"], "memory": "1g", "pids": 500})
    result = small_chain.build().expect()
    assert "its build container gets capabilities KILL" in result.output
    usual, more = (int(small_chain.run(tier, "cat", "/etc/status").split()[1], 16) for tier in ("usual", "more"))
    assert more == usual | KILL
    assert "NoNewPrivs:\t1" in small_chain.run("more", "cat", "/etc/status")
    created_by = {tier: small_chain.image(tier).history()[0]["CreatedBy"] for tier in ("usual", "more")}
    assert created_by["more"] == "tierwright: tier more: role more, with capabilities KILL"
    assert "with" not in created_by["usual"]
    small_chain.tier("usual", parent="base", cage={"capabilities": ["KILL"]})
    assert "usual  build  variable tier_cage" in small_chain.build("--check").expect().output


@pytest.mark.parametrize(
    ("cage", "message"),
    [
        ({"capabilities": ["SYS_ADMIN"]}, "'SYS_ADMIN', which is not allowed: it is equivalent to root"),
        ({"memory": "lots"}, "tier_cage.memory is 'lots'"),
        ({"privileged": True}, "privileged"),
        ({"pids": "many"}, "pids"),
    ],
)
def test_an_invalid_cage_is_rejected_before_the_build(small_chain, cage, message):
    small_chain.tier("one", STATUS, parent="base", cage=cage)
    failed = small_chain.build().expect(2)
    assert "tier 'one'" in failed.message
    assert message in failed.message
    assert "Make the base" not in failed.output


def test_memory_is_limited(caged):
    container = caged(Cage(memory=64 << 20))
    code, _output = container.exec_run(["sh", "-c", "head -c 200m /dev/zero | tail -c 150m >/dev/null"])
    assert code == 137 or code != 0
    assert container.exec_run(["true"]).exit_code == 0


def test_the_number_of_processes_is_limited(caged):
    container = caged(Cage(pids=40))
    code, output = container.exec_run(["sh", "-c", "i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done"])
    assert code != 0
    assert b"fork" in output


def test_the_default_cage_confines_a_build(caged):
    host = caged(Cage()).attrs["HostConfig"]
    assert host["Privileged"] is False
    assert set(host["CapDrop"]) == {"ALL"} or set(host["CapDrop"]).isdisjoint(host["CapAdd"])
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (4 << 30, 4 << 30, 4096)
    assert "no-new-privileges" in host["SecurityOpt"]
    assert not [mount for mount in host.get("Mounts") or host["Binds"] if "docker.sock" in str(mount)]
