"""Containers: started, found, ended and removed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.container_files import freeze_for_reading
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from engine_contract.question import LABEL


def test_a_build_container_is_idle_and_known_by_its_label(asked):
    made = asked.build_container(asked.load().id)
    assert [each for each, _labels in asked.engine.containers.find(asked.label)] == [made.id]
    assert asked.engine.containers.find(asked.label)[0][1][LABEL] == asked.mark
    info = asked.engine.containers.inspect(made.name)
    assert (info.id, info.running, info.pid > 0, info.labels[LABEL]) == (made.id, True, True, asked.mark)
    assert asked.engine.containers.commands(made.id)


def test_the_containers_of_some_images_can_be_left_out(asked):
    one, two = asked.load("one"), asked.load("two")
    asked.start(one.id)
    other = asked.start(two.id)
    assert [each for each, _ in asked.engine.containers.find(asked.label, except_images={one.id})] == [other]


def test_a_name_is_one_container_s(asked):
    image = asked.load()
    asked.build_container(image.id)
    with pytest.raises(EngineError, match="tier 'x': starting build container"):
        asked.build_container(image.id)
    assert len(asked.engine.containers.find(asked.label)) == 1


def test_a_container_of_no_image_is_refused(asked):
    with pytest.raises(EngineError):
        asked.build_container(f"sha256:{'0' * 64}")
    with pytest.raises(EngineError):
        asked.start(f"sha256:{'0' * 64}")


def test_a_container_ends_at_once_and_may_have_ended(asked):
    made = asked.build_container(asked.load().id)
    asked.engine.containers.end(made.id)
    asked.engine.containers.end(made.id)
    assert not asked.engine.containers.inspect(made.id).running


def test_a_container_that_has_ended_is_not_paused(asked):
    made = asked.build_container(asked.load().id)
    asked.engine.containers.end(made.id)
    assert asked.engine.containers.pause(made.id) is False


def test_a_container_stands_still_while_it_is_read_and_has_ended_then(asked):
    made = asked.build_container(asked.load().id)
    with (
        freeze_for_reading(asked.engine.containers, made.id) as reading,
        reading(),
        asked.engine.files.exported(made.id) as content,
    ):
        assert b"".join(content)
    assert not asked.engine.containers.inspect(made.id).running


def test_what_is_asked_of_a_container_that_is_gone_is_an_error(engine):
    for ask in (
        engine.containers.inspect,
        engine.containers.end,
        engine.containers.pause,
        engine.containers.commands,
        engine.services.state,
        engine.services.logs,
        engine.exec.user_of,
        lambda container: engine.services.stop(container, 1),
        lambda container: engine.files.info(container, "/x") or _refuse(),
    ):
        with pytest.raises(EngineError):
            ask("tierwright-contract-nothing")


def _refuse():
    raise EngineError("some engines say that there is nothing at a path in a container that is gone")


def test_a_container_that_is_gone_can_be_removed_again(asked):
    made = asked.build_container(asked.load().id)
    for _ in range(2):
        asked.engine.containers.remove(made.id)
    assert asked.engine.containers.find(asked.label) == []


def test_several_may_remove_one_container_at_once(asked):
    made = asked.build_container(asked.load().id)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(asked.engine.containers.remove, [made.id] * 4)) == [None] * 4
    asked.engine.containers.remove(made.id)
    assert asked.engine.containers.find(asked.label) == []
