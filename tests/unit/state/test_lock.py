"""One run at a time: who waits, what is said, and when the waiting ends."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state import lock
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import runs
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.lock import Waiting, begin_exclusive_run

OTHER = f"""
import sys
from {lock.__name__} import Waiting, begin_exclusive_run
held = begin_exclusive_run("demo", "ansible-playbook other.yml", Waiting(0, print)).hold()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def other():
    """Another ansible-playbook in the middle of a run."""
    # A shell between the two: the run belongs to the parent of the process that makes it, which must not be ours.
    command = ["sh", "-c", f'{sys.executable} -c "$0"; true', OTHER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def test_nobody_waits_where_nothing_goes_on():
    said = []
    journal = begin_exclusive_run("demo", "ansible-playbook mine.yml", Waiting(0, said.append))
    assert journal.holder.command == "ansible-playbook mine.yml"
    assert said == []


@pytest.mark.usefixtures("other")
def test_without_patience_it_is_said_who_is_in_the_way():
    with pytest.raises(RunError) as told:
        begin_exclusive_run("demo", "mine", Waiting(0, print))
    for word in ("chain 'demo'", "process ", "of user ", " since ", "ansible-playbook other.yml", "tier_lock_timeout"):
        assert word in str(told.value)
    assert len(list(runs("demo"))) == 1


@pytest.mark.usefixtures("other")
def test_another_chain_is_not_in_the_way():
    begin_exclusive_run("elsewhere", "mine", Waiting(0, print))


def test_the_second_waits_and_says_so_at_calm_intervals(other, monkeypatch):
    monkeypatch.setattr(lock, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(lock, "_SAY_SECONDS", 0.3)
    said, first = [], []
    threading.Timer(0.7, other.kill).start()
    threading.Timer(0.7, other.stdin.close).start()
    started = time.monotonic()
    begin_exclusive_run("demo", "mine", Waiting(20, said.append, lambda: first.append("tried")))
    assert 0.5 < time.monotonic() - started < 10
    assert 2 <= len(said) <= 4
    assert all("waiting for another run over chain 'demo'" in line for line in said)
    assert first == ["tried"]


@pytest.mark.usefixtures("other")
def test_what_can_be_known_to_fail_fails_before_the_waiting():
    def wrong():
        raise RunError("wrong")

    with pytest.raises(RunError, match="wrong"):
        begin_exclusive_run("demo", "mine", Waiting(20, print, wrong))


@pytest.mark.usefixtures("other")
def test_waiting_ends_with_the_playbook(monkeypatch):
    employers = iter([1, 1, 1])
    monkeypatch.setattr(lock.os, "getppid", lambda: next(employers, 2))
    with pytest.raises(RunError, match="the playbook has ended"):
        begin_exclusive_run("demo", "mine", Waiting(20, print))


def test_an_earlier_run_of_the_same_playbook_is_not_in_the_way():
    begin_exclusive_run("demo", "mine", Waiting(0, print))
    begin_exclusive_run("demo", "mine", Waiting(0, print))


def test_a_state_folder_that_is_none_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        RunError, match=r"the chain's folder .* cannot be written to .Not a directory.; set XDG_STATE_HOME"
    ):
        begin_exclusive_run("demo", "mine", Waiting(0, print))
