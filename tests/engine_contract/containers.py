"""Containers: starting, finding, ending and removing them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.container_files import freeze_for_reading
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from engine_contract.question import LABEL


def test_a_build_container_is_idle_and_found_by_its_label(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    assert [container_id for container_id, _labels in sandbox.engine.containers.find(sandbox.label)] == [container.id]
    assert sandbox.engine.containers.find(sandbox.label)[0][1][LABEL] == sandbox.mark
    info = sandbox.engine.containers.inspect(container.name)
    assert (info.id, info.running, info.pid > 0, info.labels[LABEL]) == (container.id, True, True, sandbox.mark)
    assert sandbox.engine.containers.commands(container.id)


def test_containers_of_some_images_can_be_excluded(sandbox):
    one, two = sandbox.load("one"), sandbox.load("two")
    sandbox.start(one.id)
    other = sandbox.start(two.id)
    assert [
        container_id for container_id, _ in sandbox.engine.containers.find(sandbox.label, except_images={one.id})
    ] == [other]


def test_a_container_name_is_unique(sandbox):
    image = sandbox.load()
    sandbox.build_container(image.id)
    with pytest.raises(EngineError, match="tier 'x': starting build container"):
        sandbox.build_container(image.id)
    assert len(sandbox.engine.containers.find(sandbox.label)) == 1


def test_a_container_of_a_missing_image_is_rejected(sandbox):
    with pytest.raises(EngineError):
        sandbox.build_container(f"sha256:{'0' * 64}")
    with pytest.raises(EngineError):
        sandbox.start(f"sha256:{'0' * 64}")


def test_a_container_ends_at_once_and_can_be_ended_again(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    sandbox.engine.containers.end(container.id)
    sandbox.engine.containers.end(container.id)
    assert not sandbox.engine.containers.inspect(container.id).running


def test_an_ended_container_is_not_paused(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    sandbox.engine.containers.end(container.id)
    assert sandbox.engine.containers.pause(container.id) is False


def test_a_container_is_frozen_while_it_is_read_and_then_ends(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    with (
        freeze_for_reading(sandbox.engine.containers, container.id) as reading,
        reading(),
        sandbox.engine.files.exported(container.id) as content,
    ):
        assert b"".join(content)
    assert not sandbox.engine.containers.inspect(container.id).running


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


def test_a_removed_container_can_be_removed_again(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    for _ in range(2):
        sandbox.engine.containers.remove(container.id)
    assert sandbox.engine.containers.find(sandbox.label) == []


def test_a_container_can_be_removed_by_several_threads_at_once(sandbox):
    container = sandbox.build_container(sandbox.load().id)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(sandbox.engine.containers.remove, [container.id] * 4)) == [None] * 4
    sandbox.engine.containers.remove(container.id)
    assert sandbox.engine.containers.find(sandbox.label) == []
