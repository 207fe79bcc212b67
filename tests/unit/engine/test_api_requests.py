"""Requests that only read are sent without the SDK, in the same version of the API, and their errors are the same."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from urllib.parse import parse_qs

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import api_requests
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.api_errors import MissingError, RefusedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import DOCKER, PODMAN
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineUnavailableError
from served import http_server

IMAGE = {"Id": "sha256:1", "RootFS": {"Layers": ["sha256:2"]}, "Config": {}, "RepoTags": ["web:latest"]}


class World:
    """A small engine: it notes the requests, can report a different version, and need not answer pings."""

    def __init__(self):
        self.requests, self.version = [], b'{"ApiVersion": "1.41"}'
        self.ping = {}

    def answer(self, path, _headers):
        self.requests.append(path)
        path, _, _query = path.removeprefix("/v1.41").partition("?")
        if path == "/version":
            return 200, {}, self.version
        if path == "/_ping" and self.ping:
            return 200, self.ping, b"OK"
        answers = {"/images/web:latest/json": IMAGE, "/images/json": [], "/volumes": {"Volumes": None}}
        if path in answers:
            return 200, {}, json.dumps(answers[path]).encode()
        if path == "/networks":
            return 500, {}, b'{"message": "database is locked"}'
        return 404, {}, b'{"message": "no such thing"}'


@pytest.fixture(params=["directly", "with the SDK"])
def world(request, monkeypatch):
    world = World()
    with http_server(world.answer) as host:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{host}")
        if request.param != "directly":
            monkeypatch.setattr(api_requests, "reachable_directly", lambda _address: False)
        yield world


@pytest.mark.usefixtures("world")
def test_a_missing_image_is_none_and_a_refusal_has_the_engines_words():
    engine = connect()
    assert engine.images.find("web:latest").layers == ("sha256:2",)
    assert engine.images.find("none:latest") is None
    assert engine.volumes.find("none") is None
    with pytest.raises(RefusedError, match=r"^listing networks: the engine says: database is locked$") as raised:
        engine.networks.find("label")
    assert raised.value.status == 500
    with pytest.raises(MissingError, match="looking at container none: the engine says: no such thing"):
        engine.containers.inspect("none")
    engine.close()


def test_requests_name_the_version_of_the_engine_and_their_filters(world):
    engine = connect()
    engine.images.labelled("a=b&c")
    engine.images.untagged("a")
    engine.volumes.labelled("a")
    engine.close()
    sent = [path.partition("?") for path in world.requests if path not in {"/version", "/_ping"}]
    assert [path for path, _, _ in sent] == ["/v1.41/images/json", "/v1.41/images/json", "/v1.41/volumes"]
    filters = [json.loads(parse_qs(query)["filters"][0]) for _, _, query in sent]
    assert filters == [{"label": ["a=b&c"]}, {"dangling": ["true"], "label": ["a"]}, {"label": ["a"]}]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (b'{"ApiVersion": "1.39"}', r"API version 1\.39; version 1\.40 or later is required"),
        (b'{"ApiVersion": 5}', "its version cannot be read|no container engine answers"),
        (b"{}", "its version cannot be read|no container engine answers"),
        (b"[]", "its version cannot be read|no container engine answers"),
        (b"<html>", "no container engine answers"),
    ],
)
def test_a_service_that_is_no_supported_engine_is_reported(world, version, message):
    world.version = version
    with pytest.raises(EngineUnavailableError, match=message):
        connect()


@pytest.mark.parametrize(
    ("headers", "kind"),
    [({"Api-Version": "1.41"}, DOCKER), ({"API-Version": "1.41", "Libpod-API-Version": "5.4.2"}, PODMAN)],
)
def test_a_ping_is_enough_to_know_the_engine(monkeypatch, headers, kind):
    world = World()
    world.ping = headers
    with http_server(world.answer) as host:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{host}")
        engine = connect()
        assert engine.kind == kind
        assert engine.images.all_ids() == []
        engine.close()
    assert world.requests == ["/_ping", "/v1.41/images/json"]


def test_an_old_engine_that_answers_a_ping_is_reported(monkeypatch):
    world = World()
    world.ping = {"Api-Version": "1.39"}
    with http_server(world.answer) as host:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{host}")
        with pytest.raises(EngineUnavailableError, match=r"API version 1\.39; version 1\.40 or later is required"):
            connect()


@pytest.fixture
def forgetful(tmp_path):
    """An engine at a socket. Without a word, it closes each connection after one answer; it ends after four."""
    path, contents = str(tmp_path / "engine.sock"), [b"{}", b'{"ApiVersion": "1.41"}', b"[]", b"[]"]

    def serve():
        for content in contents:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content))
                connection.shutdown(socket.SHUT_RDWR)
        listener.close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"unix://{path}", thread
        thread.join()


def test_a_closed_connection_is_opened_again_and_an_ended_engine_is_reported(forgetful, monkeypatch):
    address, thread = forgetful
    monkeypatch.setenv("DOCKER_HOST", address)
    engine = connect()
    assert [engine.images.all_ids() for _ in range(2)] == [[], []]
    thread.join()
    with pytest.raises(EngineUnavailableError, match="listing images: the engine stopped answering"):
        engine.images.all_ids()


def test_the_sdk_is_not_imported_to_read(monkeypatch):
    program = f"""
import sys
from {connect.__module__} import connect
engine = connect()
engine.images.find("web:latest"), engine.images.snapshot(), engine.volumes.find("none"), engine.volumes.labelled("a")
print(*sys.modules)
"""
    with http_server(World().answer) as host:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{host}")
        modules = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert not {"docker", "requests", "urllib3"} & set(modules)
