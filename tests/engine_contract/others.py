"""The engine itself, volumes and networks."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError


def test_the_engine_reports_its_platform_version_and_kind(engine):
    system, architecture = engine.system.platform()
    assert (system, bool(architecture), bool(engine.system.version())) == ("linux", True, True)
    assert engine.kind is engine.kind
    assert set(engine.system.missing_limits()) <= {"memory", "processes"}


def test_a_volume_is_created_once_and_removed(asked):
    name = f"tierwright-contract-{asked.mark}"
    assert asked.engine.volumes.find(name) is None
    assert asked.engine.volumes.create(name, {**asked.labels, "maker": "one"})["maker"] == "one"
    assert asked.engine.volumes.find(name)["maker"] == "one"
    assert asked.engine.volumes.labelled(asked.label).keys() == {name}
    asked.engine.volumes.remove(name)
    asked.engine.volumes.remove(name)
    assert asked.engine.volumes.find(name) is None


def test_an_existing_volume_keeps_its_labels(asked):
    name = f"tierwright-contract-{asked.mark}"
    asked.engine.volumes.create(name, {**asked.labels, "maker": "one"})
    assert asked.engine.volumes.create(name, {**asked.labels, "maker": "other"})["maker"] == "one"
    assert asked.engine.volumes.find(name)["maker"] == "one"


def test_a_volume_of_a_container_is_mounted_and_is_not_removed(asked):
    name = f"tierwright-contract-{asked.mark}"
    asked.engine.volumes.create(name, asked.labels)
    mount = {"Type": "volume", "Source": name, "Target": "/srv/volume"}
    container = asked.build_container(asked.load().id, mounts=[mount])
    assert "/srv/volume" in asked.engine.containers.inspect(container.id).mounts
    asked.engine.volumes.remove(name)
    assert asked.engine.volumes.find(name) is not None
    assert asked.engine.volumes.sizes([name]) >= 0


def test_a_network_is_found_by_its_label(asked):
    network = asked.engine.networks.create(f"tierwright-contract-{asked.mark}", asked.labels)
    assert [network_id for network_id, _labels in asked.engine.networks.find(asked.label)] == [network]
    for _ in range(2):
        asked.engine.networks.remove(network)
    assert asked.engine.networks.find(asked.label) == []


def test_a_container_on_a_network_has_an_address(asked):
    name = f"tierwright-contract-{asked.mark}"
    assert not asked.engine.networks.reaches(name)
    asked.engine.networks.create(name, asked.labels)
    container = asked.start(asked.load().id, networks={name: ["it"]})
    assert asked.engine.services.state(container).addresses.keys() == {name}
    assert asked.engine.networks.reaches(name), "the engines of these tests run on this machine"


def test_a_missing_network_is_an_error_and_leaves_no_running_container(asked):
    with pytest.raises(EngineError):
        asked.start(asked.load().id, networks={f"tierwright-contract-{asked.mark}": []})
    containers = [container for container, _labels in asked.engine.containers.find(asked.label)]
    assert not any(asked.engine.services.state(container).running for container in containers)
