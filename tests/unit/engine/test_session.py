from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import api_requests
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.session import EngineSession
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    EngineError,
    EngineUnavailableError,
    NotFoundError,
)
from served import http_server


def answer(path, _headers):
    path = path.removeprefix("/v1.41")
    if path == "/version":
        return 200, {}, b'{"ApiVersion": "1.41"}'
    if path == "/cut":
        return 200, {"Content-Length": "100", "Connection": "close"}, b"{"
    if path == "/large":
        return 200, {}, bytes(1 << 20)
    if path == "/none":
        return 404, {}, json.dumps({"message": "No such image: none"}).encode()
    return (500, {}, b"no space left") if path == "/broken" else (200, {}, b'{"it": "is"}')


@pytest.fixture
def engine():
    with http_server(answer) as host:
        session = EngineSession(f"tcp://{host}", 60)
        yield session.http
        session.close()


def test_json_answers_are_decoded(engine):
    assert [engine.json("/it") for _ in range(3)] == [{"it": "is"}] * 3


def test_an_error_has_a_message_and_does_not_affect_the_next_answer(engine):
    with pytest.raises(NotFoundError, match="No such image: none"):
        engine.json("/none")
    with pytest.raises(EngineError, match="answered /broken with status 500: no space left"):
        engine.json("/broken")
    with pytest.raises(EngineError, match="not JSON"):
        engine.json("/large")
    assert engine.json("/it") == {"it": "is"}


def test_an_answer_need_not_be_read_to_its_end(engine):
    with engine.stream("/large") as body:
        assert body.read(10) == bytes(10)
    assert engine.json("/it") == {"it": "is"}


def test_an_engine_can_be_reached_through_the_sdk(engine, monkeypatch):
    monkeypatch.setattr(api_requests, "reachable_directly", lambda _address: False)
    assert engine.json("/it") == {"it": "is"}
    with pytest.raises(NotFoundError, match="No such image: none"):
        engine.json("/none")


@pytest.mark.parametrize("directly", [True, False])
def test_an_answer_that_breaks_off_is_an_error(engine, monkeypatch, directly):
    monkeypatch.setattr(api_requests, "reachable_directly", lambda _address: directly)
    with pytest.raises(EngineError):
        engine.json("/cut")
    assert engine.json("/it") == {"it": "is"}


@pytest.mark.parametrize("address", ["unix:///none/docker.sock", "tcp://127.0.0.1:1"])
def test_an_engine_that_does_not_answer_is_reported(address):
    with pytest.raises(EngineUnavailableError, match=f"no container engine answers at {address}.*set DOCKER_HOST"):
        EngineSession(address, 60).http.json("/it")
