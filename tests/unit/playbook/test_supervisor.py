"""The supervisor, over a play in which processes and threads of Ansible die.

The hosts of the play are not tiers, and it needs no engine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan

ROOT = Path(__file__).parents[3]

CALLBACK = """
import multiprocessing
import os
import sys

from ansible.executor.process import worker
from ansible.executor.task_queue_manager import DisplaySend
from ansible.plugins.callback import CallbackBase

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook import supervisor
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal

supervisor._CHECKS_FOR_PIPE = 20
start, failures = worker.WorkerProcess.start, []


def fail_once_or_start(self):
    if self._host.name == "no-room" and not failures:
        failures.append(self)
        raise OSError(11, "Resource temporarily unavailable")
    start(self)


worker.WorkerProcess.start = fail_once_or_start


class TierStart:
    action = "tierwright.chain.tier_start"


class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "notification", "watch"
    watch = None

    def v2_runner_on_start(self, host, task):
        if self.watch is None:
            callbacks = supervisor.SupervisorCallbacks(self._display.error, self.give_up, lambda: None)
            self.watch = supervisor.Supervisor(supervisor.calling_strategy(), Journal(JOURNAL), callbacks)
        self.watch.note_task(host.name, TierStart)
        if task.name == "Break the reader":
            self.watch.strategy._final_q.put(DisplaySend("no_such_method"))

    def give_up(self, reason):
        self._display.error(reason)
        for child in multiprocessing.active_children():
            child.kill()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
"""

HOLD = """
import os
from ansible.executor.process import worker
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        worker.current_worker._final_q._wlock.acquire()
        os.kill(os.getpid(), 9)
"""

LEAVE = """
import os
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        os._exit(0)
"""

PLAYBOOK = """
- hosts: all
  strategy: ansible.builtin.host_pinned
  gather_facts: false
  tasks:
    - block:
        - ansible.builtin.include_tasks: "{{ inventory_hostname }}.yml"
        - ansible.builtin.meta: end_host
          when: inventory_hostname == "leaves"
        - ansible.builtin.debug: {msg: "{{ inventory_hostname }} came to its end"}
        - ansible.builtin.command: touch "DONE/{{ inventory_hostname }}"
          changed_when: true
      rescue:
        - ansible.builtin.debug: {msg: "{{ inventory_hostname }} was given up: {{ ansible_failed_result.msg }}"}
        - ansible.builtin.fail: {msg: given up}
"""

FINE = "- ansible.builtin.debug: {msg: fine}\n"

FAILURES = {
    "killed": ("- ansible.builtin.debug: {msg: \"{{ lookup('pipe', 'kill -9 $PPID') }}\"}\n", "was killed (SIGKILL)"),
    "ignored": (
        "- ansible.builtin.debug: {msg: \"{{ lookup('pipe', 'kill -9 $PPID') }}\"}\n  ignore_errors: true\n",
        "was killed (SIGKILL)",
    ),
    "ended": ("- ansible.builtin.debug: {msg: \"{{ lookup('leave') }}\"}\n", "the process that ran this"),
    "no-room": (FINE, "no process could be started for this task"),
    "meta": ("- ansible.builtin.meta: clear_facts\n  when: nowhere\n", "'nowhere' is undefined"),
    "play": ("- ansible.builtin.meta: end_play\n", "meta: end_play ends the play for all hosts"),
    "notifies": (
        "- ansible.builtin.command: 'true'\n  changed_when: true\n  notify: nobody\n",
        "'nobody' was not found",
    ),
    "unknown": ("- ansible.builtin.include_tasks: other.yml\n", "no_such_module"),
    "role": ("- ansible.builtin.include_role: {name: no_such_role}\n", "no_such_role"),
    "throttles": ("- ansible.builtin.fail: {msg: late}\n  throttle: '{{ nowhere }}'\n", "late"),
    "debugs": ("- ansible.builtin.fail: {msg: debugged}\n  debugger: on_failed\n", "debugged"),
}


class Project:
    """A playbook whose hosts each include their own tasks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("callbacks", "lookups", "journal", "done"):
            (folder / name).mkdir()
        (folder / "callbacks/watch.py").write_text(
            f"from pathlib import Path\nJOURNAL = Path({str(folder / 'journal')!r})\n{CALLBACK}"
        )
        (folder / "lookups/hold.py").write_text(HOLD)
        (folder / "lookups/leave.py").write_text(LEAVE)
        (folder / "watched.yaml").write_text(PLAYBOOK.replace("DONE", str(folder / "done")))
        (folder / "other.yml").write_text("- no_such_module: {}\n")
        self.hosts: list[str] = []

    def host(self, name: str, tasks: str) -> None:
        self.hosts.append(name)
        (self.folder / f"{name}.yml").write_text(tasks)

    def run(self) -> subprocess.CompletedProcess[str]:
        hosts = {
            name: {"ansible_connection": "local", "ansible_python_interpreter": sys.executable} for name in self.hosts
        }
        (self.folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
        return subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "-i", "hosts.yml", "watched.yaml", "--forks", "20"],
            cwd=self.folder,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
                "ANSIBLE_CALLBACK_PLUGINS": str(self.folder / "callbacks"),
                "ANSIBLE_LOOKUP_PLUGINS": str(self.folder / "lookups"),
                "ANSIBLE_NOCOLOR": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )

    def reason(self, name: str) -> str | None:
        path = self.folder / f"journal/{name}.outcome.json"
        return str(json.loads(path.read_text())["reason"]) if path.exists() else None


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_each_host_fails_alone_and_the_others_continue(project):
    project.host("good", "- ansible.builtin.wait_for: {timeout: 4}\n")
    project.host("deaf", "- {name: Break the reader, ansible.builtin.debug: {msg: it goes on}}\n" * 2)
    project.host("leaves", FINE)
    for name, (tasks, _reason) in FAILURES.items():
        project.host(name, tasks)
    process = project.run()
    output = " ".join(process.stdout.split())
    assert process.returncode == 2, process.stdout
    assert {path.name for path in (project.folder / "done").iterdir()} == {"good", "deaf"}, process.stdout
    for name, (_tasks, reason) in FAILURES.items():
        assert f"{name} was given up" in output, f"{name}\n{process.stdout}"
        assert reason in output.partition(f"{name} was given up")[2][:400], f"{name}\n{process.stdout}"
    disturbed = {path.name.partition(".")[0] for path in (project.folder / "journal").glob("*.disturbed.json")}
    assert disturbed == {"killed", "ignored", "ended", "no-room"}  # the failures of the others are their own
    assert project.reason("leaves") == "its role left the play before the tier was sealed and tested"
    recap = dict(line.split(":", 1) for line in process.stdout.partition("PLAY RECAP")[2].splitlines() if " : " in line)
    assert all("failed=0" not in counts for name, counts in recap.items() if name.strip() not in {"good", "deaf"}), (
        recap
    )


def test_a_tier_whose_parent_fails_meanwhile_does_not_go_on(project):
    journal, released = Journal(project.folder / "journal"), project.folder / "journal/released"
    parent = Tier("parent", "operations", "parent", "latest", parent="base", role="x")
    child = Tier("child", "development", "child", "latest", parent="parent", role="x")
    write_plan(journal, "shop", Decision(parent, Action.BUILD, (), None, {"parent": "sha256:1"}), "x")
    write_plan(journal, "shop", Decision(child, Action.BUILD, (), None, {}), "x")
    fails = f"""
- ansible.builtin.wait_for: {{path: "{released}", timeout: 60}}
- ansible.builtin.fail: {{msg: its tests fail}}
"""
    builds = f"""
- ansible.builtin.copy: {{content: "", dest: "{released}"}}
- ansible.builtin.wait_for: {{path: "{project.folder}/journal/parent.outcome.json", timeout: 60}}
- ansible.builtin.debug: {{msg: in vain}}
  ignore_errors: true
"""
    project.host("parent", fails)
    project.host("child", builds)
    output = project.run().stdout
    assert "in vain" not in output
    assert """fatal: [child]: FAILED! => {"changed": false, "msg": "tier 'child' is not built: its""" in output
    assert project.reason("child") == "tier 'child' is not built: its parent 'parent' failed"
    assert not (project.folder / "done/child").exists()


def test_in_a_trial_a_tier_that_left_the_play_is_an_answer(project):
    project.host("leaves", FINE)
    tried = {"images": [{"tier": "core", "image": "registry.example.org/core", "digest": "sha256:1"}]}
    (project.folder / "journal/core.tried.json").write_text(json.dumps(tried))
    process = project.run()
    assert process.returncode == 0, process.stdout
    assert project.reason("leaves") == "its role left the play before the tier was sealed and tested"


def test_a_worker_that_is_killed_while_it_writes_its_result_ends_the_run(project):
    project.host("holds", "- ansible.builtin.debug: {msg: \"{{ lookup('hold') }}\"}\n")
    project.host("waits", FINE * 3)
    process = project.run()
    assert process.returncode == 1
    assert "was killed while it wrote its result" in " ".join(process.stdout.split())
