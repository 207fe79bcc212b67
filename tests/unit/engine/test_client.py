from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineUnavailableError


@pytest.mark.parametrize("address", ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1", "nonsense://x"])
def test_an_engine_that_does_not_answer_is_named_with_what_to_do(monkeypatch, address):
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(EngineUnavailableError) as caught:
        connect()
    told = str(caught.value)
    assert address in told
    assert "playbooks/engine.yml" in told
    assert "DOCKER_HOST" in told


def test_docker_host_wins(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://example.invalid:2375")
    assert engine_address() == "tcp://example.invalid:2375"


def test_a_user_s_own_socket_is_found_where_the_system_has_none(monkeypatch, tmp_path):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "docker.sock").touch()
    assert engine_address() in {f"unix://{tmp_path}/docker.sock", "unix:///var/run/docker.sock"}
