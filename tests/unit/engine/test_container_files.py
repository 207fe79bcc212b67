from __future__ import annotations

from types import SimpleNamespace

import docker.errors
import pytest
import requests

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.container_files import freeze_for_reading
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.containers import Containers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from fake_engine.world import PLAIN


class Engine:
    """Stands for a session and its ``api``; records the operations on its one container, in order."""

    def __init__(self, refuses=None):
        self.api = self
        self.operations = []
        self.refuses = refuses or {}

    def _do(self, operation):
        self.operations.append(operation)
        if operation in self.refuses:
            answer = requests.Response()
            answer.status_code = self.refuses[operation]
            raise docker.errors.APIError(f"{operation} refused", response=answer)

    def pause(self, _container):
        self._do("pause")

    def kill(self, _container):
        self._do("kill")

    def wait(self, _container):
        self._do("wait")

    def read(self, reading):
        with reading():
            self.operations.append("read")


def test_a_container_is_paused_read_and_ended_once():
    engine = Engine()
    with freeze_for_reading(Containers(engine, PLAIN), "c") as reading:
        assert engine.operations == ["pause"]
        engine.read(reading)
    assert engine.operations == ["pause", "read", "kill", "wait"]


def test_a_container_has_ended_before_it_is_read_again():
    engine = Engine()
    with freeze_for_reading(Containers(engine, PLAIN), "c") as reading:
        engine.read(reading)
        engine.read(reading)
    assert engine.operations == ["pause", "read", "kill", "wait", "read"]


def test_a_container_is_ended_if_nobody_reads_it():
    engine = Engine()
    with freeze_for_reading(Containers(engine, PLAIN), "c"):
        pass
    assert engine.operations == ["pause", "kill", "wait"]


@pytest.mark.parametrize("status", [409, 500])
def test_a_container_that_cannot_be_paused_is_ended_first(status):
    engine = Engine({"pause": status})
    with freeze_for_reading(Containers(engine, PLAIN), "c") as reading:
        assert engine.operations == ["pause", "kill", "wait"]
        engine.read(reading)
    assert engine.operations[3] == "read"


@pytest.mark.parametrize("refuses", [{}, {"kill": 500}], ids=["ends", "cannot be ended"])
def test_a_container_is_ended_after_an_error(refuses):
    engine = Engine(refuses)
    with pytest.raises(ValueError, match="went wrong"), freeze_for_reading(Containers(engine, PLAIN), "c"):
        raise ValueError("went wrong")
    assert engine.operations[:2] == ["pause", "kill"]


def test_a_failed_reading_does_not_end_the_container():
    engine = Engine()
    with freeze_for_reading(Containers(engine, PLAIN), "c") as reading:
        with pytest.raises(ValueError, match="damaged"), reading():
            raise ValueError("damaged")
        assert engine.operations == ["pause"]
        engine.read(reading)
    assert engine.operations == ["pause", "read", "kill", "wait"]


def test_an_engine_that_cannot_end_the_container_is_reported():
    engine = Engine({"kill": 500})
    containers = Containers(engine, PLAIN)
    with pytest.raises(EngineError, match="ending container c"), freeze_for_reading(containers, "c") as reading:
        engine.read(reading)
    with pytest.raises(EngineError, match="ending container c"), freeze_for_reading(containers, "c"):
        pass


def test_a_missing_container_is_reported():
    def pause(_container):
        raise docker.errors.NotFound("no such container")

    with (
        pytest.raises(EngineError, match="pausing container c"),
        freeze_for_reading(Containers(SimpleNamespace(api=SimpleNamespace(pause=pause)), PLAIN), "c"),
    ):
        pass
