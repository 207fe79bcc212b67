"""The engine itself, volumes and networks."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError


def test_it_tells_its_machine_and_its_kind_once(engine):
    system, architecture = engine.system.platform()
    assert (system, bool(architecture), bool(engine.system.version())) == ("linux", True, True)
    assert engine.kind is engine.kind
    assert set(engine.system.missing_limits()) <= {"memory", "processes"}


def test_of_several_makers_of_one_volume_the_first_wins(asked):
    name = f"tierwright-contract-{asked.mark}"
    assert asked.engine.volumes.find(name) is None
    assert asked.engine.volumes.create(name, {**asked.labels, "maker": "one"})["maker"] == "one"
    assert asked.engine.volumes.find(name)["maker"] == "one"
    assert asked.engine.volumes.labelled(asked.label).keys() == {name}
    asked.engine.volumes.remove(name)
    asked.engine.volumes.remove(name)
    assert asked.engine.volumes.find(name) is None


def test_a_volume_that_is_there_keeps_its_labels(asked):
    name = f"tierwright-contract-{asked.mark}"
    asked.engine.volumes.create(name, {**asked.labels, "maker": "one"})
    assert asked.engine.volumes.create(name, {**asked.labels, "maker": "other"})["maker"] == "one"
    assert asked.engine.volumes.find(name)["maker"] == "one"


def test_a_volume_that_a_container_has_stays_and_is_mounted_there(asked):
    name = f"tierwright-contract-{asked.mark}"
    asked.engine.volumes.create(name, asked.labels)
    mount = {"Type": "volume", "Source": name, "Target": "/srv/volume"}
    made = asked.build_container(asked.load().id, mounts=[mount])
    assert "/srv/volume" in asked.engine.containers.inspect(made.id).mounts
    asked.engine.volumes.remove(name)
    assert asked.engine.volumes.find(name) is not None
    assert asked.engine.volumes.sizes([name]) >= 0


def test_a_network_is_known_by_its_label(asked):
    made = asked.engine.networks.create(f"tierwright-contract-{asked.mark}", asked.labels)
    assert [each for each, _labels in asked.engine.networks.find(asked.label)] == [made]
    for _ in range(2):
        asked.engine.networks.remove(made)
    assert asked.engine.networks.find(asked.label) == []


def test_a_container_on_a_network_has_an_address_there(asked):
    name = f"tierwright-contract-{asked.mark}"
    assert not asked.engine.networks.reaches(name)
    asked.engine.networks.create(name, asked.labels)
    made = asked.start(asked.load().id, networks={name: ["it"]})
    assert asked.engine.services.state(made).addresses.keys() == {name}
    assert asked.engine.networks.reaches(name), "engines of these tests are on this very machine"


def test_a_network_that_is_not_there_is_refused_and_leaves_no_container(asked):
    with pytest.raises(EngineError):
        asked.start(asked.load().id, networks={f"tierwright-contract-{asked.mark}": []})
    left = [each for each, _labels in asked.engine.containers.find(asked.label)]
    assert not any(asked.engine.services.state(each).running for each in left)
