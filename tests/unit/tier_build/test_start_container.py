"""The start of a build container, with its agent."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import launch
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Cage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.confinement import Confinement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build import build

MOUNT = {"Target": launch.INSIDE}


@pytest.fixture
def events(monkeypatch):
    """What happens, in order."""
    happened = []

    @contextmanager
    def agent_ahead(_address, container, python):
        happened.append(f"load the keeper of {container} for {python}")
        try:
            yield
        except EngineError:
            happened.append("end the keeper")
            raise
        happened.append("start the agent")

    monkeypatch.setattr(launch, "agent_ahead", agent_ahead)
    monkeypatch.setattr(launch, "agent_mount", lambda *_: [MOUNT])
    monkeypatch.setattr(launch, "remove_agent_folder", lambda *_: happened.append("remove the folder"))
    return happened


def start(events, fails):
    def start_container(*, name, confined, image):
        where = "with" if MOUNT in confined.mounts else "without"
        events.append(f"start {name} from {image} {where} the folder of the agent")
        if fails(where):
            raise EngineError("no such folder")
        return "the container"

    engine = SimpleNamespace(containers=SimpleNamespace(start=start_container))
    return build._start_container(engine, name="it", python="/python", confined=Confinement(Cage(), None), image="web")


def test_the_agent_starts_with_its_container(events):
    assert start(events, lambda _where: False) == "the container"
    assert events == [
        "load the keeper of it for /python",
        "start it from web with the folder of the agent",
        "start the agent",
    ]


def test_a_container_that_cannot_have_the_folder_starts_without_it_and_its_first_task_starts_the_agent(events):
    assert start(events, lambda where: where == "with") == "the container"
    assert events == [
        "load the keeper of it for /python",
        "start it from web with the folder of the agent",
        "end the keeper",
        "remove the folder",
        "start it from web without the folder of the agent",
    ]


def test_a_container_that_cannot_start_at_all_is_an_error(events):
    with pytest.raises(EngineError, match="no such folder"):
        start(events, lambda _where: True)
