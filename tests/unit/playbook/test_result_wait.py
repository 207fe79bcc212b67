"""Waiting for results of tasks, with a strategy that has only what the wait uses."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.result_wait import ResultWait

LATER = 3600


@pytest.fixture
def strategy():
    return SimpleNamespace(_results=deque(), _results_lock=threading.Lock(), _pending_results=1)


@pytest.fixture
def waits(monkeypatch):
    """The lengths of all waits, none of which takes time."""
    lengths = []
    monkeypatch.setattr(threading.Event, "wait", lambda _event, timeout: lengths.append(round(timeout, 6)))
    return lengths


def deadline():
    return time.monotonic() + LATER


def test_waits_become_longer_while_nothing_happens(strategy, waits):
    wait = ResultWait(strategy)
    for _ in range(5):
        wait.wait(deadline())
    assert waits == [0.001, 0.002, 0.004, 0.008]  # the first time, the strategy may have work that nobody noted
    wait.note_work()
    for _ in range(3):
        wait.wait(deadline())
    assert waits[4:] == [0.001, 0.002]


def test_a_result_that_has_arrived_is_processed_at_once(strategy, waits):
    strategy._results.append("early")
    wait = ResultWait(strategy)
    assert list(strategy._results) == ["early"]
    wait.wait(deadline())
    wait.wait(deadline())
    assert waits == []
    assert strategy._results.popleft() == "early"
    wait.wait(deadline())
    strategy._results.append("late")
    wait.wait(deadline())
    assert waits == [0.001]


def test_nothing_is_waited_for_if_no_task_runs(strategy, waits):
    strategy._pending_results = 0
    wait = ResultWait(strategy)
    for _ in range(3):
        wait.wait(deadline())
    assert waits == []


def test_a_wait_ends_at_its_deadline(strategy, waits):
    wait = ResultWait(strategy)
    for _ in range(3):
        wait.wait(time.monotonic() - 1)
    assert waits == [0, 0]


def test_a_result_ends_a_long_wait(strategy):
    wait = ResultWait(strategy)
    wait._seconds = LATER
    wait._busy = False
    thread = threading.Timer(0.05, lambda: strategy._results.append("arrived"))
    thread.start()
    wait.wait(deadline())
    assert list(strategy._results) == ["arrived"]
    thread.join()
