"""The times of tasks, in Ansible's main process."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook import task_times
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.task_times import TaskTimes


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(task_times.time, "time", lambda: now[0])
    return now


def make_task(uuid, name="Install", action="apt", resolved="ansible.builtin.apt"):
    return SimpleNamespace(_uuid=uuid, name=name, action=action, resolved_action=resolved, get_path=lambda: "/x.yml:3")


def test_a_task_has_its_own_times_for_each_host(clock):
    times, task = TaskTimes(), make_task("1")
    times.note_start("web", task)
    clock[0] = 101
    times.note_start("db", task)
    clock[0] = 103
    times.note_end("web", task, "ok")
    clock[0] = 106
    web, db = times.tasks()
    assert (web.host, web.began, web.ended, web.result) == ("web", 100, 103, "ok")
    assert (db.host, db.began, db.ended, db.result) == ("db", 101, 106, "unfinished")
    assert (web.name, web.action, web.role) == ("Install", "ansible.builtin.apt", None)
    assert times.began == 100


def test_a_task_without_a_name_is_named_by_its_action():
    times = TaskTimes()
    times.note_start("web", make_task("1", name="", action="apt", resolved=None))
    [task] = times.tasks()
    assert (task.name, task.action) == ("apt", "apt")


def test_the_end_of_an_unknown_task_is_ignored():
    times = TaskTimes()
    times.note_end("web", make_task("1"), "ok")
    assert times.tasks() == []
