"""Canaries: secrets that a role works with are nowhere when its image is there."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.once

PLACES = ("environment", "deleted", "argument", "vaulted", "stdin", "wholefile")

# `ps` sees what the kernel shows of every process in the container while a task with secrets runs.
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
    """Variables of the chain: plain ones, one that is encrypted, and a file that is."""
    folder = small_chain.folder / "group_vars/all"
    folder.mkdir(parents=True)
    password = small_chain.folder / "password"
    password.write_text("vault password\n")
    command = ["ansible-vault", "encrypt_string", "--vault-password-file", str(password), "--name", "one_vaulted"]
    done = subprocess.run([*command, canaries["vaulted"]], env=environment, check=True, capture_output=True, text=True)
    plain = "".join(f"one_{place}: {canaries[place]}\n" for place in PLACES if place not in {"vaulted", "wholefile"})
    (folder / "main.yml").write_text(plain + done.stdout)
    whole = folder / "whole.yml"
    whole.write_text(f"one_wholefile: {canaries['wholefile']}\n")
    whole_file = ["ansible-vault", "encrypt", "--vault-password-file", str(password), str(whole)]
    subprocess.run(whole_file, env=environment, check=True)
    templates = small_chain.folder / "roles/one/templates"
    templates.mkdir(parents=True)
    (templates / "credentials.j2").write_text("{{ one_vaulted }} {{ one_wholefile }}\n")
    return ("--vault-password-file", str(password))


def found_in(content, canaries):
    text = content if isinstance(content, bytes) else content.encode()
    return [canary for canary in canaries.values() if canary.encode() in text]


def saved(engine, image, folder):
    """Every byte of an image: configuration, history, and each file of each layer."""
    path = folder / "saved.tar"
    with path.open("wb") as file:
        for piece in engine.api.get_image(image):
            file.write(piece)
    content = path.read_bytes()
    path.unlink()
    return content


def test_no_secret_is_anywhere_when_the_image_is_there(small_chain, engine, environment, canaries, vault, tmp_path):
    small_chain.tier("one", TASKS, parent="base")
    built = small_chain.build("-vvv", *vault).expect()
    image = small_chain.image("one")
    assert found_in(saved(engine, image.id, tmp_path), canaries) == []
    assert found_in(json.dumps([image.attrs, image.history()]), canaries) == []
    assert found_in(built.output, canaries) == []
    assert found_in(everything_below(Path(environment["XDG_STATE_HOME"])), canaries) == []
    assert found_in(everything_below(Path("/tmp"), "tierwright*"), canaries) == []
    for volume in engine.volumes.list(filters={"label": "io.tierwright.cache"}):
        assert found_in(everything_below(Path(volume.attrs["Mountpoint"])), canaries) == []


def everything_below(folder, pattern="*"):
    return b"".join(
        str(path).encode() + (path.read_bytes() if path.is_file() else b"")
        for start in folder.glob(pattern)
        for path in [start, *start.rglob("*")]
    )


def test_the_engine_is_never_told_a_secret(small_chain, engine, environment, canaries, vault):
    """Neither the container's settings nor the commands that are run in it hold one, while the role runs."""
    small_chain.tier("one", WAIT, parent="base")
    small_chain.build("--check", *vault).expect()  # writes the inventory
    seen = []
    with subprocess.Popen(
        ["ansible-playbook", "build-chain.yml", "-i", str(small_chain.folder / "chain.yml"), *vault],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        while running.poll() is None:
            for container in engine.containers.list(filters={"label": "io.tierwright.tier=one"}, ignore_removed=True):
                told = engine.api.inspect_container(container.id)
                commands = [engine.api.exec_inspect(each) for each in told["ExecIDs"] or ()]
                seen.append(json.dumps([told, commands]))
            try:
                running.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        output = running.stdout.read()
    assert running.returncode == 0, output
    assert len(seen) > 5
    assert found_in("".join(seen) + output, canaries) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"env": {"PASSWORD": "{{ one_vaulted }}"}}, "tier_config.env.PASSWORD contains the value of one_vaulted"),
        ({"env": {"URL": "db://u:{{ one_vaulted }}@db"}}, "tier_config.env.URL contains the value of one_vaulted"),
        ({"labels": {"key": "{{ one_wholefile }}"}}, "tier_config.labels.key contains the value of one_wholefile"),
        ({"cmd": ["run", "--key={{ one_wholefile }}"]}, "tier_config.cmd[1] contains the value of one_wholefile"),
    ],
)
def test_a_vaulted_value_in_the_image_s_settings_is_refused(small_chain, canaries, vault, config, message):
    small_chain.tier("one", "- name: Idle\n  ansible.builtin.command: 'true'\n", parent="base", config=config)
    failed = small_chain.build("--check", *vault).expect(2)
    assert f"tier 'one': {message}, which comes from a vault" in failed.message
    assert found_in(failed.output, canaries) == []


def test_one_in_the_role_s_own_settings_is_refused_too(small_chain, canaries, vault):
    defaults = small_chain.folder / "roles/one/defaults"
    defaults.mkdir(parents=True)
    (defaults / "main.yml").write_text("one_tier_config: {env: {KEY: 'x-{{ one_vaulted }}'}}\n")
    small_chain.tier("one", "- name: Idle\n  ansible.builtin.command: 'true'\n", parent="base")
    failed = small_chain.build(*vault).expect(2)
    assert "config.env.KEY contains the value of one_vaulted, which comes from a vault" in failed.message
    assert found_in(failed.output, canaries) == []
    assert not small_chain.released("one")


def test_why_a_task_with_no_log_failed_stays_its_own(small_chain, vault):
    # A module's message: Ansible itself prints an action's, no_log or not.
    fail = "- name: Fail\n  ansible.builtin.uri: {url: 'http://localhost:1/{{ one_argument }}'}\n  no_log: true\n"
    small_chain.tier("one", fail, parent="base")
    failed = small_chain.build(*vault).expect(2)
    assert "task 'Fail' (one/tasks/main.yml:1) its message is hidden by no_log" in failed.message
