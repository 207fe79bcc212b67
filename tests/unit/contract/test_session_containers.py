"""The containers of a test session end with their test, and are removed while the next test runs."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract import session_containers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.session_containers import (
    SessionContainers,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError


class Engine:
    """Stands for an engine. It removes containers only as long as `may_remove` is set."""

    def __init__(self, image):
        self.done, self.may_remove, self._image = [], threading.Event(), image
        self.broken = self.gone = False
        self.kind = SimpleNamespace(default_network="bridge")
        self.images = SimpleNamespace(find=lambda _name: image, full_config=lambda _image: {})
        self.networks = SimpleNamespace(create=lambda *_arguments: "n1", reaches=lambda _name: True)
        self.services = SimpleNamespace(start=lambda _settings: f"c{len(self.done)}")
        self.containers = SimpleNamespace(end=self._end, remove=self._remove)

    def _end(self, name):
        if self.gone:
            raise EngineError("no such container")
        self.done.append(f"end {name}")

    def _remove(self, name):
        assert self.may_remove.wait(10)
        if self.broken:
            raise EngineError("device busy")
        self.done.append(f"remove {name}")


@pytest.fixture
def engine(make_image):
    return Engine(make_image("sha256:1", {}))


@pytest.fixture
def containers(engine, monkeypatch):
    watcher = SimpleNamespace(dismiss=lambda: engine.done.append("dismiss"))
    monkeypatch.setattr(session_containers, "Watcher", lambda _label: watcher)
    monkeypatch.setattr(session_containers, "clear", lambda _engine, _label: engine.done.append("clear"))
    return SessionContainers(engine, "web", tier="web")


def test_a_container_has_ended_before_the_next_test_and_is_removed_before_the_session_ends(engine, containers):
    container = containers.start()
    containers.remove(container)
    assert engine.done == ["end c0"]
    engine.may_remove.set()
    containers.close()
    assert engine.done == ["end c0", "remove c0", "clear", "dismiss"]


def test_a_container_that_cannot_be_removed_is_left_to_the_end_of_the_session(engine, containers):
    engine.broken = True
    engine.may_remove.set()
    containers.remove(containers.start())
    containers.close()
    assert engine.done == ["end c0", "clear", "dismiss"]


def test_a_container_that_a_test_has_removed_is_no_error(engine, containers):
    engine.gone = True
    engine.may_remove.set()
    containers.remove(containers.start())
    assert engine.done == ["remove c0"]  # an engine accepts this for a container that does not exist
    containers.close()


def test_only_started_containers_can_be_removed(engine, containers):
    idle = containers.idle()
    containers.remove(idle)
    assert containers.idle() is idle
    assert engine.done == []
