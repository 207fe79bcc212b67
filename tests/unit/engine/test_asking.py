from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.asking import Asking
from ansible_collections.tierwright.chain.plugins.plugin_utils.errors import (
    EngineError,
    EngineUnavailableError,
    NotFoundError,
)
from served import served


def answer(path, _headers):
    if path == "/large":
        return 200, {}, bytes(1 << 20)
    if path == "/none":
        return 404, {}, json.dumps({"message": "No such image: none"}).encode()
    return (500, {}, b"no space left") if path == "/broken" else (200, {}, b'{"it": "is"}')


@pytest.fixture
def engine(monkeypatch):
    with served(answer) as host:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{host}")
        asking = Asking()
        yield asking
        asking.close()


def test_answers(engine):
    assert [engine.json("/it") for _ in range(3)] == [{"it": "is"}] * 3


def test_refusals_are_sentences_and_the_next_answer_is_right(engine):
    with pytest.raises(NotFoundError, match="No such image: none"):
        engine.json("/none")
    with pytest.raises(EngineError, match="answered /broken with 500: no space left"):
        engine.json("/broken")
    with pytest.raises(EngineError, match="no JSON"):
        engine.json("/large")
    assert engine.json("/it") == {"it": "is"}


def test_an_answer_that_is_not_read_to_its_end(engine):
    with engine.stream("/large") as body:
        assert body.read(10) == bytes(10)
    assert engine.json("/it") == {"it": "is"}


@pytest.mark.parametrize("address", ["unix:///none/docker.sock", "tcp://127.0.0.1:1"])
def test_no_engine(monkeypatch, address):
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(EngineUnavailableError, match=f"no container engine answers at {address}.*set DOCKER_HOST"):
        Asking().json("/it")
