"""Notifications arrive over HTTP. Who sends them is checked, and nothing in them is believed."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch import local_server
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.health import Health
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.local_server import serve
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.notifications import (
    Notifications,
    named_repositories,
    read_token,
)

pytestmark = pytest.mark.once

TOKEN = "correct-horse-battery"
PUSH = {"action": "push", "target": {"repository": "dev/wordpress", "tag": "latest"}, "request": {"host": "x:5000"}}


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture
def woken():
    return []


@pytest.fixture
def send(token_file, woken):
    """Send a request, and return its status."""
    notifications = Notifications(token_file, lambda: ["registry.example.org/dev/wordpress"], woken.append)
    health = Health()
    with serve(
        ("127.0.0.1", 0),
        {"/healthz": health.page, "/metrics": health.metrics},
        {"/notifications": notifications.receive},
    ) as address:

        def send_(body, path="/notifications", method="POST", token=f"Bearer {TOKEN}", **headers):
            connection = HTTPConnection(*address, timeout=20)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, {"Authorization": token, **headers})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            return answer.status

        send_.address = address
        yield send_


def test_a_push_to_a_repository_of_interest_wakes(send, woken):
    assert send({"events": [PUSH]}) == 202
    assert woken == ["a registry says that dev/wordpress changed"]


@pytest.mark.parametrize(
    "body",
    [
        {"events": []},
        {"events": [{**PUSH, "action": "pull"}]},
        {"events": [{**PUSH, "target": {"repository": "other"}}, 1, {"target": 2}]},
    ],
)
def test_what_is_not_of_interest_wakes_nobody(send, woken, body):
    assert send(body) == 202
    assert woken == []


@pytest.mark.parametrize(
    "body",
    [
        {"type": "PUSH_ARTIFACT", "event_data": {"repository": {"repo_full_name": "dev/wordpress"}}},
        {"repository": "dev/wordpress", "updated_tags": ["latest"]},
        {"specversion": "1.0", "type": "zotregistry.image.updated", "data": {"name": "x"}},
        {},
    ],
)
def test_notifications_of_other_forms_wake(send, woken, body):
    assert send(body) == 202
    assert woken == ["a registry says that something changed"]


@pytest.mark.parametrize("token", ["", TOKEN, "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
def test_without_the_token_nothing_is_read(send, woken, token):
    assert send({"events": [PUSH]}, token=token) == 401
    assert woken == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"1"])
def test_what_is_not_a_json_object_is_rejected(send, woken, body):
    assert send(body) == 400
    assert woken == []


def test_a_large_body_is_not_read(send):
    assert send(b"", **{"Content-Length": str(1 << 40)}) == 413
    assert send(b"", **{"Content-Length": "9" * 5000}) == 413
    assert send(b"", **{"Content-Length": "-1"}) == 411


def test_other_paths_and_methods(send):
    assert send(b"", path="/other") == 404
    assert send(b"", path="/metrics") == 405
    assert send(b"", method="GET") == 405
    assert send(b"", method="GET", path="/healthz") == 200
    assert send(b"", method="GET", path="/metrics?x=1") == 200


def test_too_many_connections_are_closed_and_the_server_goes_on(send):
    held = [socket.create_connection(send.address) for _ in range(local_server._MOST)]
    with socket.create_connection(send.address, timeout=20) as more:
        assert more.recv(1) == b""
    for each in held:
        each.close()
    for _attempt in range(100):
        try:
            assert send({"events": []}) == 202
            break
        except OSError:
            continue


def test_a_token_file_is_read_each_time_and_may_be_wrong(send, token_file, tmp_path):
    token_file.write_text("another-token-of-this-machine")
    assert send({}) == 401
    token_file.write_text("short")
    assert send({}) == 503
    assert read_token(tmp_path / "none") is None


def test_a_port_in_use_is_one_sentence(send):
    with pytest.raises(RunError, match="set watch_listen to another port"), serve(send.address, {}, {}):
        pass


def test_repositories_are_found_in_wild_events():
    assert named_repositories({"events": [None, [], {"target": {"repository": 5}}]}) == {"5"}
    assert named_repositories({"events": {}}) is None
