"""ansible-runner runs a real playbook, and no secret gets into what it leaves behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.playbook_process import read_process
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.playbook_run import (
    PlaybookEnd,
    run_playbooks,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.run_records import RunOutcome, output_path

#: Each of these must be in no file.
CANARIES = {name: f"canary-{name}-7f3a" for name in ("environment", "vault", "extra", "hidden")}
PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    vaulted: "{{ lookup('ansible.builtin.file', 'secret') }}"
    hidden: "{{ lookup('ansible.builtin.file', 'hidden') }}"
  tasks:
    - ansible.builtin.set_fact: {kept: "{{ vaulted }}", cacheable: true}
    - ansible.builtin.set_fact: {other: "{{ vaulted }}"}
    - ansible.builtin.command: cat
      args: {stdin: "{{ vaulted }}"}
      environment: {SECRET: "{{ given }}"}
    - ansible.builtin.command: echo {{ hidden }}
      no_log: true
    - ansible.builtin.command: sh -c 'echo {{ hidden }}; exit 1'
      no_log: true
      ignore_errors: true
    - ansible.builtin.assert: {that: "lookup('ansible.builtin.env', 'SECRET_ENVIRONMENT') | length > 0"}
    - ansible.builtin.debug: {msg: it is visible}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return folder


def play(tmp_path: Path, text: str) -> str:
    path = tmp_path / "play.yml"
    path.write_text(text)
    return str(path)


def go_on() -> None:
    return None


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_playbook_runs_and_leaves_no_secret_behind(place, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_ENVIRONMENT", CANARIES["environment"])
    (tmp_path / "secret").write_text(CANARIES["vault"])
    (tmp_path / "hidden").write_text(CANARIES["hidden"])
    arguments = ["-i", "localhost,", "-e", f"given={CANARIES['extra']}"]
    assert run_playbooks(place, [play(tmp_path, PLAYBOOK)], arguments, go_on) == PlaybookEnd(RunOutcome.SUCCEEDED)
    left = files(place)
    for path, content in left.items():
        for name, canary in CANARIES.items():
            assert canary.encode() not in content, (path, name)
        assert os.environ["PATH"].encode() not in content, path
    assert "it is visible" in output_path(place).read_text()
    assert "\x1b" not in output_path(place).read_text()
    assert left["artifacts/status"] == b"successful"
    assert left["artifacts/rc"] == b"0"
    assert json.loads(left["artifacts/command"])["env"] == {}
    stored = [content for path, content in left.items() if path.startswith("artifacts/job_events/")]
    events = [json.loads(content)["event"] for content in stored]
    assert {"playbook_on_play_start", "playbook_on_stats", "runner_on_failed"} <= set(events)
    assert sum(map(len, left.values())) < 20_000


@pytest.mark.parametrize("result_format", ["json", "yaml"])
def test_the_reason_of_a_failure_is_the_message_of_the_task(place, tmp_path, monkeypatch, result_format):
    monkeypatch.setenv("ANSIBLE_CALLBACK_RESULT_FORMAT", result_format)
    text = "- hosts: localhost\n  gather_facts: false\n  tasks: [{ansible.builtin.fail: {msg: 'site x: no health'}}]\n"
    end = run_playbooks(place, [play(tmp_path, text)], ["-i", "localhost,", "-c", "local"], go_on)
    assert end == PlaybookEnd(RunOutcome.FAILED, "site x: no health")


def test_a_playbook_that_cannot_begin_has_a_reason(place):
    end = run_playbooks(place, ["none.yml"], ["-i", "localhost,"], go_on)
    assert end == PlaybookEnd(RunOutcome.FAILED, "ansible-playbook ended with status 1")
    assert "none.yml" in output_path(place).read_text()


SLEEP = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks: [{name: Sleep, ansible.builtin.command: sleep 60}]
"""


def test_a_playbook_is_interrupted_and_says_so(place, tmp_path):
    began = []

    def why_end() -> PlaybookEnd | None:
        if (process := read_process(place)) is not None and "Sleep" in output(place):
            began.append(process)
            return PlaybookEnd(RunOutcome.CANCELLED, "a user cancelled it")
        return None

    end = run_playbooks(place, [play(tmp_path, SLEEP)], ["-i", "localhost,", "-c", "local"], why_end)
    assert end == PlaybookEnd(RunOutcome.CANCELLED, "a user cancelled it")
    assert not began[0].is_running


def output(place: Path) -> str:
    return output_path(place).read_text() if output_path(place).exists() else ""
