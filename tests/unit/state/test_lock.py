"""One run at a time: which run waits, what it prints, and when it stops waiting."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import parent_process
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
    """A different ansible-playbook in the middle of a run."""
    # A run belongs to the parent of the process that begins it. With the shell in between, this test is not the parent.
    command = ["sh", "-c", f'{sys.executable} -c "$0"; true', OTHER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def test_a_run_does_not_wait_if_no_run_is_in_progress():
    lines = []
    journal = begin_exclusive_run("demo", "ansible-playbook mine.yml", Waiting(0, lines.append))
    assert journal.holder.command == "ansible-playbook mine.yml"
    assert lines == []


@pytest.mark.usefixtures("other")
def test_without_a_timeout_the_message_names_the_other_run():
    with pytest.raises(RunError) as error:
        begin_exclusive_run("demo", "mine", Waiting(0, print))
    for word in ("chain 'demo'", "process ", "of user ", " since ", "ansible-playbook other.yml", "tier_lock_timeout"):
        assert word in str(error.value)
    assert len(list(runs("demo"))) == 1


@pytest.mark.usefixtures("other")
def test_a_run_of_a_different_chain_does_not_block():
    begin_exclusive_run("elsewhere", "mine", Waiting(0, print))


def test_a_waiting_run_says_so_at_long_intervals(other, monkeypatch):
    monkeypatch.setattr(lock, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(lock, "_SAY_SECONDS", 0.3)
    lines, checks = [], []
    threading.Timer(0.7, other.kill).start()
    threading.Timer(0.7, other.stdin.close).start()
    started = time.monotonic()
    begin_exclusive_run("demo", "mine", Waiting(20, lines.append, lambda: checks.append("tried")))
    assert 0.5 < time.monotonic() - started < 10
    assert 2 <= len(lines) <= 4
    assert all("waiting for another run over chain 'demo'" in line for line in lines)
    assert checks == ["tried"]


@pytest.mark.usefixtures("other")
def test_the_check_of_a_run_fails_before_it_waits():
    def check():
        raise RunError("wrong")

    with pytest.raises(RunError, match="wrong"):
        begin_exclusive_run("demo", "mine", Waiting(20, print, check))


@pytest.mark.usefixtures("other")
def test_waiting_ends_with_the_playbook(monkeypatch):
    parent_ids = iter([1, 1, 1])
    monkeypatch.setattr(parent_process.os, "getppid", lambda: next(parent_ids, 2))
    with pytest.raises(RunError, match="the playbook has ended"):
        begin_exclusive_run("demo", "mine", Waiting(20, print))


def test_an_earlier_run_of_the_same_playbook_does_not_block():
    begin_exclusive_run("demo", "mine", Waiting(0, print))
    begin_exclusive_run("demo", "mine", Waiting(0, print))


def test_an_unwritable_state_folder_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        RunError, match=r"the chain's folder .* cannot be written to .Not a directory.; set XDG_STATE_HOME"
    ):
        begin_exclusive_run("demo", "mine", Waiting(0, print))
