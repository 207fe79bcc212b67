"""Secrets of a build: the role can use them, and nothing of them is left anywhere."""

from __future__ import annotations

import json
import secrets
import socket
import threading
from pathlib import Path

import pytest

from .conftest import export_image, run_container

#: The answer of an SSH agent without keys (draft-ietf-sshm-ssh-agent).
REQUEST, ANSWER = b"\x00\x00\x00\x01\x0b", b"\x00\x00\x00\x05\x0c\x00\x00\x00\x00"

GOOD = r"""
- name: Look at the file
  ansible.builtin.raw: cd /dev/tierwright-secrets && stat -c '%a %u %n' * >/etc/seen
- name: Ask the agent
  ansible.builtin.command:
    argv:
      - "{{ ansible_python_interpreter }}"
      - -c
      - |-
        import os, socket
        agent = socket.socket(socket.AF_UNIX)
        agent.connect(os.environ["SSH_AUTH_SOCK"])
        agent.sendall(b"\x00\x00\x00\x01\x0b")
        open("/etc/answered", "w").write(agent.recv(100).hex() + "\n")
"""
LEAKY = """
- name: Leave the token in a file
  ansible.builtin.raw: mkdir /etc/app && { echo machine; cat /dev/tierwright-secrets/token; } >/etc/app/netrc
"""


@pytest.fixture
def agent(tmp_path):
    """An SSH agent without keys."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "agent"))
    server.listen()

    def answer():
        while True:
            try:
                client, _address = server.accept()
            except OSError:
                return
            with client:
                if client.recv(100) == REQUEST:
                    client.sendall(ANSWER)

    thread = threading.Thread(target=answer)
    thread.start()
    yield str(tmp_path / "agent")
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.mark.once
def test_a_role_uses_secrets_and_none_is_left(small_chain, engine, environment, agent, tmp_path):
    token = secrets.token_hex(16)
    value = {"token": token}
    small_chain.tier("good", GOOD, parent="base", secrets=value, ssh_agent=True)
    small_chain.tier("leaky", LEAKY, parent="base", secrets=value)
    result = small_chain.build("-vvv", env={"SSH_AUTH_SOCK": agent}).expect(2)
    assert "/etc/app/netrc contains tier_secrets.token" in result.message
    assert token not in result.output
    image = engine.images.list(filters={"reference": f"{small_chain.name}/good"}, all=True)[0]
    seen = run_container(engine, image.id, ["cat", "/etc/seen", "/etc/answered"])
    assert seen == f"400 0 token\n{ANSWER.hex()}\n"
    export_image(engine, image.id, tmp_path / "image.tar")
    state = [
        path for variable in ("XDG_STATE_HOME", "XDG_CACHE_HOME") for path in Path(environment[variable]).rglob("*")
    ]
    texts = [path.read_bytes() for path in (tmp_path / "image.tar", *state) if path.is_file()]
    texts += [json.dumps([image.attrs, image.history()]).encode()]
    assert not any(token.encode() in text for text in texts)
    assert len(texts) > 3
