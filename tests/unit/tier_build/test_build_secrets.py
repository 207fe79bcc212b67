"""Secrets reach a build container through standard input, and are removed from it."""

from __future__ import annotations

import socket

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, SealError, SourceError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build import build_secrets
from fake_engine import FakeEngine


class Commands:
    """An engine that records commands and answers with one exit status."""

    def __init__(self, status=0):
        self.calls, self.status, self.engine = [], status, FakeEngine()
        self.engine.exec.run = self._run

    def _run(self, container, argv, *, stdin=(), take, user=""):
        take(2, b"no space left")
        self.calls.append((container, argv, b"".join(stdin), user))
        return self.status


def test_a_value_is_in_no_argument():
    commands = Commands()
    build_secrets.give_secrets(commands.engine, "web", "c1", {"token": "hunter2\n", "key": "a"})
    assert [(words[-1], content) for _container, words, content, _user in commands.calls] == [
        ("token", b"hunter2\n"),
        ("key", b"a"),
    ]
    assert not any("hunter2" in word for _container, words, _content, _user in commands.calls for word in words)


def test_a_failure_names_the_file_and_the_reason():
    with pytest.raises(
        EngineError, match=r"tier 'web': writing /dev/tierwright-secrets/token .* failed: no space left"
    ):
        build_secrets.give_secrets(Commands(1).engine, "web", "c1", {"token": "hunter2"})


def test_secrets_that_stay_fail_the_tier():
    build_secrets.take_secrets(Commands().engine, "web", "c1")
    with pytest.raises(SealError, match="tier 'web': the secrets in /dev/tierwright-secrets cannot be removed"):
        build_secrets.take_secrets(Commands(1).engine, "web", "c1")


def test_the_socket_of_the_agent_is_mounted(monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        assert build_secrets.ssh_agent_mount("web", "unix:///run/docker.sock") == {
            "Type": "bind",
            "Source": str(tmp_path / "agent"),
            "Target": "/dev/tierwright-ssh-agent",
        }


@pytest.mark.parametrize(
    ("path", "address", "problem"),
    [
        (None, "unix:///run/docker.sock", "SSH_AUTH_SOCK is not set; start an agent"),
        ("/nonexistent", "unix:///run/docker.sock", "'/nonexistent' is not a socket; start an agent"),
        ("/nonexistent", "ssh://builder", "needs an engine on this machine, and the engine is at ssh://builder"),
    ],
)
def test_without_an_agent_the_tier_is_rejected(monkeypatch, path, address, problem):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    if path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
    with pytest.raises(SourceError, match=problem):
        build_secrets.ssh_agent_mount("web", address)
