"""The engine itself, volumes and networks."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError


def test_the_engine_reports_its_platform_version_and_kind(engine):
    system, architecture = engine.system.platform()
    assert (system, bool(architecture), bool(engine.system.version())) == ("linux", True, True)
    assert engine.kind is engine.kind
    assert set(engine.system.missing_limits()) <= {"memory", "processes"}


def test_a_volume_is_created_once_and_removed(sandbox):
    name = f"tierwright-contract-{sandbox.mark}"
    assert sandbox.engine.volumes.find(name) is None
    assert sandbox.engine.volumes.create(name, {**sandbox.labels, "maker": "one"})["maker"] == "one"
    assert sandbox.engine.volumes.find(name)["maker"] == "one"
    assert sandbox.engine.volumes.labelled(sandbox.label).keys() == {name}
    sandbox.engine.volumes.remove(name)
    sandbox.engine.volumes.remove(name)
    assert sandbox.engine.volumes.find(name) is None


def test_an_existing_volume_keeps_its_labels(sandbox):
    name = f"tierwright-contract-{sandbox.mark}"
    sandbox.engine.volumes.create(name, {**sandbox.labels, "maker": "one"})
    assert sandbox.engine.volumes.create(name, {**sandbox.labels, "maker": "other"})["maker"] == "one"
    assert sandbox.engine.volumes.find(name)["maker"] == "one"


def test_a_volume_of_a_container_is_mounted_and_is_not_removed(sandbox):
    name = f"tierwright-contract-{sandbox.mark}"
    sandbox.engine.volumes.create(name, sandbox.labels)
    mount = {"Type": "volume", "Source": name, "Target": "/srv/volume"}
    container = sandbox.build_container(sandbox.load().id, mounts=[mount])
    assert "/srv/volume" in sandbox.engine.containers.inspect(container.id).mounts
    sandbox.engine.volumes.remove(name)
    assert sandbox.engine.volumes.find(name) is not None
    assert sandbox.engine.volumes.sizes([name]) >= 0


def test_a_network_is_found_by_its_label(sandbox):
    network = sandbox.engine.networks.create(f"tierwright-contract-{sandbox.mark}", sandbox.labels)
    assert [network_id for network_id, _labels in sandbox.engine.networks.find(sandbox.label)] == [network]
    for _ in range(2):
        sandbox.engine.networks.remove(network)
    assert sandbox.engine.networks.find(sandbox.label) == []


def test_a_container_on_a_network_has_an_address(sandbox):
    name = f"tierwright-contract-{sandbox.mark}"
    assert not sandbox.engine.networks.reaches(name)
    sandbox.engine.networks.create(name, sandbox.labels)
    container = sandbox.start(sandbox.load().id, networks={name: ["it"]})
    assert sandbox.engine.services.state(container).addresses.keys() == {name}
    assert sandbox.engine.networks.reaches(name), "the engines of these tests run on this machine"


def test_a_missing_network_is_an_error_and_leaves_no_running_container(sandbox):
    with pytest.raises(EngineError):
        sandbox.start(sandbox.load().id, networks={f"tierwright-contract-{sandbox.mark}": []})
    containers = [container for container, _labels in sandbox.engine.containers.find(sandbox.label)]
    assert not any(sandbox.engine.services.state(container).running for container in containers)
