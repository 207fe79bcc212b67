"""Containers as users run them."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError


def test_a_container_runs_until_it_is_stopped_and_its_answer_to_that_is_its_status(asked):
    made = asked.start(asked.load().id)
    state = asked.engine.services.state(made)
    assert (state.running, state.exit_code, state.health) == (True, None, None)
    [(user, command), *_others] = asked.engine.services.processes(made)
    assert (user, "trap" in command) == (0, True)
    asked.engine.services.stop(made, 20)
    state = asked.engine.services.state(made)
    assert (state.running, state.exit_code) == (False, 3)
    assert asked.engine.services.processes(made) == []


def test_a_container_that_ends_leaves_its_status_and_its_log(asked):
    made = asked.start(asked.load().id, "/bin/sh", "-c", "echo one; echo two; exit 4")
    assert asked.ended(made).exit_code == 4
    assert asked.engine.services.logs(made) == "one\ntwo\n"
    assert asked.engine.services.logs(made, 1) == "two\n"


def test_a_program_that_the_image_lacks_is_refused_and_leaves_nothing(asked):
    image = asked.load()
    with pytest.raises(EngineError, match="starting a container of image"):
        asked.start(image.id, "/bin/nothing")
    assert asked.engine.containers.find(asked.label) == []


def test_a_user_is_who_runs_it(asked):
    made = asked.start(asked.load().id, user="7:8")
    assert {user for user, _command in asked.engine.services.processes(made)} == {7}
