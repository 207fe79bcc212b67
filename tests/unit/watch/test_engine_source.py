"""The engine's events are followed, also after it was killed."""

from __future__ import annotations

import json
from threading import Event
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.events import EngineEvent, Events
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.session import EngineSession
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, EngineUnavailableError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch import engine_source
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.engine_source import (
    follow_engine,
    is_of_interest,
)
from served import http_server

pytestmark = pytest.mark.once

TAG = {"Type": "image", "Action": "tag", "Actor": {"ID": "sha256:1", "Attributes": {"name": "web:latest"}}}


@pytest.fixture
def events(monkeypatch):
    """Follow the events in an answer of an engine."""
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)

    def follow(body, status=200):
        asked = []

        def answer(path, _headers):
            asked.append(path)
            return status, {}, body

        with http_server(answer) as host:
            session = EngineSession(f"tcp://{host}", 10)
            try:
                return list(Events(session).follow(1_700_000_000.0, 5)), asked
            finally:
                session.close()

    return follow


def test_events_are_read_line_by_line(events):
    lines = [json.dumps(TAG), "", json.dumps({"Type": "network", "Action": "x"}), json.dumps({"Type": "service"})]
    found, (path,) = events("\n".join(lines).encode())
    assert found == [EngineEvent("image", "tag", "web:latest"), EngineEvent("service", "", "")]
    assert path.startswith("/events?since=1700000000.000&until=")


@pytest.mark.parametrize("body", [b"no event", b"[1]", b'{"Actor": 5}', b"x" * (3 << 20)])
def test_what_is_no_event_is_an_error(events, body):
    with pytest.raises(EngineError, match="stream of events"):
        events(body)


def test_an_engine_that_refuses_is_an_error(events):
    with pytest.raises(EngineError, match="status 500"):
        events(b"{}", 500)


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (EngineEvent("image", "tag", "web:latest"), True),
        (EngineEvent("image", "tag", "localhost/web:latest"), True),
        (EngineEvent("image", "tag", "web"), True),
        (EngineEvent("image", "tag", "web:1"), False),
        (EngineEvent("image", "tag", "other:latest"), False),
        (EngineEvent("image", "tag", "registry:5000/web"), False),
        (EngineEvent("image", "load", "sha256:12"), False),
        (EngineEvent("image", "push", "web:latest"), False),
        (EngineEvent("service", "remove", "shop_web"), True),
        (EngineEvent("service", "update", "shop_web"), False),
    ],
)
def test_only_some_events_are_of_interest(event, wanted):
    assert is_of_interest(event, {"web:latest"}) is wanted


def test_without_local_images_no_image_is_of_interest():
    assert not is_of_interest(EngineEvent("image", "tag", "web:latest"), ())


class FakeEngine:
    """An engine whose streams are a list: events, or an error."""

    def __init__(self, streams, stop):
        self.streams, self.stop, self.asked, self.closed = streams, stop, [], 0
        self.events = SimpleNamespace(follow=self.follow)

    def connect(self):
        if not self.streams:
            self.stop.set()
            raise EngineUnavailableError("the end")
        if isinstance(self.streams[0], str):
            raise EngineUnavailableError(self.streams.pop(0))
        return self

    def follow(self, since):
        self.asked.append(since)
        for each in self.streams.pop(0):
            if isinstance(each, Exception):
                raise each
            yield each

    def close(self):
        self.closed += 1


def test_a_killed_engine_is_followed_again_with_growing_pauses(monkeypatch):
    stop, pauses, told, taken = Event(), [], [], []
    monkeypatch.setattr(stop, "wait", pauses.append)
    event = EngineEvent("image", "tag", "web:latest")
    engine = FakeEngine([[event], [event, EngineUnavailableError("killed")], "away", "away", "away", [event]], stop)
    follow_engine(engine.connect, taken.append, told.append, lambda: told.append("back"), stop)
    assert taken == [event] * 3
    assert told == ["killed", "back", "the end"]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 1.0]
    assert engine.asked[0] is None
    assert all(since is not None for since in engine.asked[1:])  # nothing is missed in between
    assert engine.closed == 3


def test_pauses_have_a_limit(monkeypatch):
    stop, pauses = Event(), []
    monkeypatch.setattr(stop, "wait", pauses.append)
    engine = FakeEngine(["away"] * 20, stop)
    follow_engine(engine.connect, print, lambda _reason: None, lambda: None, stop)
    assert max(pauses) == engine_source.LONGEST_PAUSE
