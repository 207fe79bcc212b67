"""Canaries: after a build, the secrets that its role used are not in the image, in the output or on the disk."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.once

PLACES = ("environment", "deleted", "argument", "vaulted", "stdin", "wholefile")

# The first task stores the command lines of all processes in the container while a task with secrets runs.
TASKS = """
- name: Use a secret from the environment
  ansible.builtin.shell: |
    for each in /proc/[0-9]*; do tr '\\0' ' ' <$each/cmdline; echo; done >/dev/shm/processes
    test "$SECRET"
  environment: {SECRET: "{{ one_environment }}"}
  no_log: true

- name: Write one into a file
  ansible.builtin.copy: {content: "{{ one_deleted }}", dest: /etc/credentials, mode: "0600"}
  no_log: true

- name: Write one from a vault with a template
  ansible.builtin.template: {src: credentials.j2, dest: /root/credentials, mode: "0600"}
  no_log: true

- name: Take one as an argument of a module
  ansible.builtin.uri: {url: "http://localhost:1/{{ one_argument }}"}
  register: answer
  failed_when: false
  no_log: true

- name: Take one on standard input
  ansible.builtin.command: {cmd: cat, stdin: "{{ one_stdin }}"}
  no_log: true

- name: Remove the files
  ansible.builtin.file: {path: "{{ item }}", state: absent}
  loop: [/etc/credentials, /root/credentials]

- name: Nobody saw the secret among the processes
  ansible.builtin.command: grep -c TWCANARY /dev/shm/processes
  register: seen
  failed_when: seen.rc != 1
"""


WAIT = """
- name: Use a secret for a while
  ansible.builtin.command: sleep 2
  environment: {SECRET: "{{ one_environment }}"}
  no_log: true
"""


@pytest.fixture
def canaries():
    return {place: f"TWCANARY-{place}-{secrets.token_hex(8)}" for place in PLACES}


@pytest.fixture
def vault(small_chain, environment, canaries):
    """Write the variables of the chain: plain ones, an encrypted one, and an encrypted file."""
    folder = small_chain.folder / "group_vars/all"
    folder.mkdir(parents=True)
    password = small_chain.folder / "password"
    password.write_text("vault password\n")
    command = ["ansible-vault", "encrypt_string", "--vault-password-file", str(password), "--name", "one_vaulted"]
    process = subprocess.run(
        [*command, canaries["vaulted"]], env=environment, check=True, capture_output=True, text=True
    )
    plain = "".join(f"one_{place}: {canaries[place]}\n" for place in PLACES if place not in {"vaulted", "wholefile"})
    (folder / "main.yml").write_text(plain + process.stdout)
    encrypted = folder / "whole.yml"
    encrypted.write_text(f"one_wholefile: {canaries['wholefile']}\n")
    encrypt = ["ansible-vault", "encrypt", "--vault-password-file", str(password), str(encrypted)]
    subprocess.run(encrypt, env=environment, check=True)
    templates = small_chain.folder / "roles/one/templates"
    templates.mkdir(parents=True)
    (templates / "credentials.j2").write_text("{{ one_vaulted }} {{ one_wholefile }}\n")
    return ("--vault-password-file", str(password))


def leaks(content, canaries):
    text = content if isinstance(content, bytes) else content.encode()
    return [canary for canary in canaries.values() if canary.encode() in text]


def image_bytes(engine, image, folder):
    """All bytes of an image: configuration, history, and every file of every layer."""
    path = folder / "saved.tar"
    with path.open("wb") as file:
        for chunk in engine.api.get_image(image):
            file.write(chunk)
    content = path.read_bytes()
    path.unlink()
    return content


def test_no_secret_is_left_after_a_build(small_chain, engine, environment, canaries, vault, tmp_path):
    small_chain.tier("one", TASKS, parent="base")
    result = small_chain.build("-vvv", *vault).expect()
    image = small_chain.image("one")
    assert leaks(image_bytes(engine, image.id, tmp_path), canaries) == []
    assert leaks(json.dumps([image.attrs, image.history()]), canaries) == []
    assert leaks(result.output, canaries) == []
    assert leaks(files_below(Path(environment["XDG_STATE_HOME"])), canaries) == []
    assert leaks(files_below(Path("/tmp"), "tierwright*"), canaries) == []
    for volume in engine.volumes.list(filters={"label": "io.tierwright.cache"}):
        assert leaks(files_below(Path(volume.attrs["Mountpoint"])), canaries) == []


def files_below(folder, pattern="*"):
    return b"".join(
        str(path).encode() + (path.read_bytes() if path.is_file() else b"")
        for start in folder.glob(pattern)
        for path in [start, *start.rglob("*")]
    )


def test_the_engine_never_gets_a_secret(small_chain, engine, environment, canaries, vault):
    """While the role runs, no secret is in the settings of the container or in the commands that run in it."""
    small_chain.tier("one", WAIT, parent="base")
    small_chain.build("--check", *vault).expect()  # writes the inventory
    inspections = []
    with subprocess.Popen(
        ["ansible-playbook", "build-chain.yml", "-i", str(small_chain.folder / "chain.yml"), *vault],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        while running.poll() is None:
            for container in engine.containers.list(filters={"label": "io.tierwright.tier=one"}, ignore_removed=True):
                settings = engine.api.inspect_container(container.id)
                commands = [engine.api.exec_inspect(exec_id) for exec_id in settings["ExecIDs"] or ()]
                inspections.append(json.dumps([settings, commands]))
            try:
                running.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        output = running.stdout.read()
    assert running.returncode == 0, output
    assert len(inspections) > 5
    assert leaks("".join(inspections) + output, canaries) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"env": {"PASSWORD": "{{ one_vaulted }}"}}, "tier_config.env.PASSWORD contains the value of one_vaulted"),
        ({"env": {"URL": "db://u:{{ one_vaulted }}@db"}}, "tier_config.env.URL contains the value of one_vaulted"),
        ({"labels": {"key": "{{ one_wholefile }}"}}, "tier_config.labels.key contains the value of one_wholefile"),
        ({"cmd": ["run", "--key={{ one_wholefile }}"]}, "tier_config.cmd[1] contains the value of one_wholefile"),
    ],
)
def test_a_vaulted_value_in_the_image_settings_is_rejected(small_chain, canaries, vault, config, message):
    small_chain.tier("one", "- name: Idle\n  ansible.builtin.command: 'true'\n", parent="base", config=config)
    failed = small_chain.build("--check", *vault).expect(2)
    assert f"tier 'one': {message}, which comes from a vault" in failed.message
    assert leaks(failed.output, canaries) == []


def test_a_vaulted_value_in_the_role_defaults_is_rejected(small_chain, canaries, vault):
    defaults = small_chain.folder / "roles/one/defaults"
    defaults.mkdir(parents=True)
    (defaults / "main.yml").write_text("one_tier_config: {env: {KEY: 'x-{{ one_vaulted }}'}}\n")
    small_chain.tier("one", "- name: Idle\n  ansible.builtin.command: 'true'\n", parent="base")
    failed = small_chain.build(*vault).expect(2)
    assert "config.env.KEY contains the value of one_vaulted, which comes from a vault" in failed.message
    assert leaks(failed.output, canaries) == []
    assert not small_chain.released("one")


def test_the_failure_message_of_a_no_log_task_is_hidden(small_chain, vault):
    # The message of a module: Ansible prints the message of an action even with no_log.
    fail = "- name: Fail\n  ansible.builtin.uri: {url: 'http://localhost:1/{{ one_argument }}'}\n  no_log: true\n"
    small_chain.tier("one", fail, parent="base")
    failed = small_chain.build(*vault).expect(2)
    assert "task 'Fail' (one/tasks/main.yml:1) its message is hidden by no_log" in failed.message
