"""Containers in the way users run them."""

from __future__ import annotations

import time

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError

from .question import WAITS


def test_a_stopped_container_has_the_exit_status_of_its_signal_handler(sandbox):
    container = sandbox.start(sandbox.load().id)
    state = sandbox.engine.services.state(container)
    assert (state.running, state.exit_code, state.health) == (True, None, None)
    # An engine may report a container as started a moment before its program runs.
    until = time.monotonic() + 10
    while (0, " ".join(WAITS)) not in (processes := sandbox.engine.services.processes(container)):
        assert time.monotonic() < until, processes
        time.sleep(0.1)
    sandbox.engine.services.stop(container, 20)
    state = sandbox.engine.services.state(container)
    assert (state.running, state.exit_code) == (False, 3)
    assert sandbox.engine.services.processes(container) == []


def test_an_ended_container_has_an_exit_status_and_a_log(sandbox):
    container = sandbox.start(sandbox.load().id, "/bin/sh", "-c", "echo one; echo two; exit 4")
    assert sandbox.wait_for_end(container).exit_code == 4
    assert sandbox.engine.services.logs(container) == "one\ntwo\n"
    assert sandbox.engine.services.logs(container, 1) == "two\n"


def test_a_missing_program_is_an_error_and_leaves_no_container(sandbox):
    image = sandbox.load()
    with pytest.raises(EngineError, match="starting a container of image"):
        sandbox.start(image.id, "/bin/nothing")
    assert sandbox.engine.containers.find(sandbox.label) == []


def test_a_container_runs_as_the_requested_user(sandbox):
    container = sandbox.start(sandbox.load().id, user="7:8")
    assert {user for user, _command in sandbox.engine.services.processes(container)} == {7}
