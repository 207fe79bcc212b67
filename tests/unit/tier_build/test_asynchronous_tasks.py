"""Asynchronous tasks that still run before sealing: the tier waits for them, and is finally rejected."""

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
        ([IDLE, WRAPPER], []),  # only the watching process is left: the task itself has ended
        ([IDLE, WRAPPER, WRAPPER], ["command"]),
        ([OTHER, WRAPPER, OTHER], ["own"]),
        ([OTHER, WRAPPER, OTHER, WRAPPER, "async_wrapper"], ["command", "own"]),
    ],
)
def test_unfinished_tasks_are_recognised_by_their_processes(processes, modules):
    assert tasks.unfinished(processes) == modules


@pytest.fixture
def journal(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Journal.begin("demo")


def engine(*answers):
    remaining = list(answers)
    fake = FakeEngine()
    fake.containers.commands = lambda _container: remaining.pop(0) if remaining[1:] else remaining[0]
    return fake


def test_the_engine_is_not_called_without_asynchronous_tasks(journal):
    tasks.wait_for_jobs(None, journal, "web", "c", print)


def test_the_tier_waits_for_a_task_that_ends_soon(journal, monkeypatch):
    monkeypatch.setattr(tasks, "_LOOK_SECONDS", 0)
    tasks.note_asynchronous(journal, "web", "task 'Fetch'")
    lines = []
    tasks.wait_for_jobs(engine([WRAPPER] * 2, [WRAPPER] * 2, [WRAPPER]), journal, "web", "c", lines.append)
    assert lines == ["waiting up to 10 s for task 'Fetch' (module command)"]


def test_a_tier_with_an_endless_task_is_rejected(journal, monkeypatch):
    monkeypatch.setattr(tasks, "ASYNC_TIMEOUT", 0)
    for name in ("Fetch", "Fetch", "Serve"):
        tasks.note_asynchronous(journal, "web", f"task '{name}'")
    with pytest.raises(
        SealError, match=r"tier 'web': an asynchronous task has not finished.*'Fetch', task 'Serve' \(mod"
    ):
        tasks.wait_for_jobs(engine([WRAPPER, WRAPPER]), journal, "web", "c", print)
