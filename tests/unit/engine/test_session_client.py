from __future__ import annotations

import os

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import (
    engine_address,
    login,
)
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


def test_a_runtime_folder_that_cannot_be_searched_has_no_engine(monkeypatch):
    """The home folders of a service of systemd are like that, and /run/user is one of them."""
    real = os.stat

    def stat(path, **options):
        if str(path).startswith("/run/user/"):
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(os, "stat", stat)
    assert engine_address() == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_CONFIG", "/nonexistent")
    assert login("registry.example.org") is None
