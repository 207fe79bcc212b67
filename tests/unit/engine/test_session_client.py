from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineUnavailableError


@pytest.mark.parametrize("address", ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1", "nonsense://x"])
def test_an_engine_that_does_not_answer_is_named_with_advice(monkeypatch, address):
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(EngineUnavailableError) as raised:
        connect()
    message = str(raised.value)
    assert address in message
    assert "playbooks/engine.yml" in message
    assert "DOCKER_HOST" in message


def test_docker_host_takes_precedence(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://example.invalid:2375")
    assert engine_address() == "tcp://example.invalid:2375"


def test_the_socket_of_the_user_is_found_if_the_system_has_none(monkeypatch, tmp_path):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "docker.sock").touch()
    assert engine_address() in {f"unix://{tmp_path}/docker.sock", "unix:///var/run/docker.sock"}
