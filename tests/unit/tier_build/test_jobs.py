"""Asynchronous tasks that still run when a layer is to be sealed are waited for, and refused in the end."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import SealError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build import tasks
from fake_engine import FakeEngine

FOLDER = "/dev/tierwright/ansible-tmp-1795910400.1-2-3"
WRAPPER = (
    f"root 12 1 0 00:00 ? 00:00:00 /usr/bin/python3 {FOLDER}/async_wrapper.py j123 900 {FOLDER}/AnsiballZ_command.py _"
)
OTHER = f"root 13 1 0 00:00 ? 00:00:00 python3 {FOLDER}/async_wrapper.py j7 60 {FOLDER}/own {FOLDER}/args"
IDLE = "root 1 0 0 00:00 ? 00:00:00 /bin/sh -c trap"


@pytest.mark.parametrize(
    ("processes", "modules"),
    [
        ([IDLE], []),
        ([IDLE, WRAPPER], []),  # what watches it is left when the task itself has ended
        ([IDLE, WRAPPER, WRAPPER], ["command"]),
        ([OTHER, WRAPPER, OTHER], ["own"]),
        ([OTHER, WRAPPER, OTHER, WRAPPER, "async_wrapper"], ["command", "own"]),
    ],
)
def test_tasks_that_go_on_are_told_by_their_processes(processes, modules):
    assert tasks.unfinished(processes) == modules


@pytest.fixture
def journal(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Journal.begin("demo")


def engine(*answers):
    left = list(answers)
    made = FakeEngine()
    made.containers.commands = lambda _container: left.pop(0) if left[1:] else left[0]
    return made


def test_the_engine_is_not_asked_where_no_task_was_asynchronous(journal):
    tasks.wait_for_jobs(None, journal, "web", "c", print)


def test_a_task_that_ends_soon_is_waited_for(journal, monkeypatch):
    monkeypatch.setattr(tasks, "_LOOK_SECONDS", 0)
    tasks.note_asynchronous(journal, "web", "task 'Fetch'")
    said = []
    tasks.wait_for_jobs(engine([WRAPPER] * 2, [WRAPPER] * 2, [WRAPPER]), journal, "web", "c", said.append)
    assert said == ["waiting up to 10 s for task 'Fetch' (module command)"]


def test_a_task_that_does_not_end_is_refused(journal, monkeypatch):
    monkeypatch.setattr(tasks, "ASYNC_TIMEOUT", 0)
    for name in ("Fetch", "Fetch", "Serve"):
        tasks.note_asynchronous(journal, "web", f"task '{name}'")
    with pytest.raises(
        SealError, match=r"tier 'web': an asynchronous task has not finished.*'Fetch', task 'Serve' \(mod"
    ):
        tasks.wait_for_jobs(engine([WRAPPER, WRAPPER]), journal, "web", "c", print)
