"""Containers: starting, finding, ending and removing them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.container_files import freeze_for_reading
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from engine_contract.question import LABEL


def test_a_build_container_is_idle_and_found_by_its_label(asked):
    container = asked.build_container(asked.load().id)
    assert [container_id for container_id, _labels in asked.engine.containers.find(asked.label)] == [container.id]
    assert asked.engine.containers.find(asked.label)[0][1][LABEL] == asked.mark
    info = asked.engine.containers.inspect(container.name)
    assert (info.id, info.running, info.pid > 0, info.labels[LABEL]) == (container.id, True, True, asked.mark)
    assert asked.engine.containers.commands(container.id)


def test_containers_of_some_images_can_be_excluded(asked):
    one, two = asked.load("one"), asked.load("two")
    asked.start(one.id)
    other = asked.start(two.id)
    assert [container_id for container_id, _ in asked.engine.containers.find(asked.label, except_images={one.id})] == [
        other
    ]


def test_a_container_name_is_unique(asked):
    image = asked.load()
    asked.build_container(image.id)
    with pytest.raises(EngineError, match="tier 'x': starting build container"):
        asked.build_container(image.id)
    assert len(asked.engine.containers.find(asked.label)) == 1


def test_a_container_of_a_missing_image_is_rejected(asked):
    with pytest.raises(EngineError):
        asked.build_container(f"sha256:{'0' * 64}")
    with pytest.raises(EngineError):
        asked.start(f"sha256:{'0' * 64}")


def test_a_container_ends_at_once_and_can_be_ended_again(asked):
    container = asked.build_container(asked.load().id)
    asked.engine.containers.end(container.id)
    asked.engine.containers.end(container.id)
    assert not asked.engine.containers.inspect(container.id).running


def test_an_ended_container_is_not_paused(asked):
    container = asked.build_container(asked.load().id)
    asked.engine.containers.end(container.id)
    assert asked.engine.containers.pause(container.id) is False


def test_a_container_is_frozen_while_it_is_read_and_then_ends(asked):
    container = asked.build_container(asked.load().id)
    with (
        freeze_for_reading(asked.engine.containers, container.id) as reading,
        reading(),
        asked.engine.files.exported(container.id) as content,
    ):
        assert b"".join(content)
    assert not asked.engine.containers.inspect(container.id).running


def test_every_call_for_a_removed_container_is_an_error(engine):
    for call in (
        engine.containers.inspect,
        engine.containers.end,
        engine.containers.pause,
        engine.containers.commands,
        engine.services.state,
        engine.services.logs,
        engine.exec.user_of,
        lambda container: engine.services.stop(container, 1),
        lambda container: engine.files.info(container, "/x") or _raise(),
    ):
        with pytest.raises(EngineError):
            call("tierwright-contract-nothing")


def _raise():
    raise EngineError("some engines find no file in a removed container instead of reporting an error")


def test_a_removed_container_can_be_removed_again(asked):
    container = asked.build_container(asked.load().id)
    for _ in range(2):
        asked.engine.containers.remove(container.id)
    assert asked.engine.containers.find(asked.label) == []


def test_a_container_can_be_removed_by_several_threads_at_once(asked):
    container = asked.build_container(asked.load().id)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(asked.engine.containers.remove, [container.id] * 4)) == [None] * 4
    asked.engine.containers.remove(container.id)
    assert asked.engine.containers.find(asked.label) == []
