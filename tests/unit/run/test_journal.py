from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils.run import journal as module
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.journal import Journal, Outcome, ended_runs


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def journal():
    return Journal.begin("demo")


def test_a_journal_is_private(journal):
    assert journal.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("tier", ["httpd-php", "odd/../name", "ünï", ".hidden", "a b"])
def test_what_is_written_is_read(journal, tier):
    assert journal.read("plan", tier) is None
    journal.write("plan", tier, {"a": [1]})
    assert journal.read("plan", tier) == {"a": [1]}
    assert journal.read("outcome", tier) is None
    assert list(journal.folder.parent.parent.rglob("*.json")) == list(journal.folder.glob("*.json")) or tier[0] == "."


def test_recorded_tiers_are_listed(journal):
    for tier in ("b", "a/b"):
        journal.write("plan", tier, {})
    journal.sealed("c", "sha256:1")
    assert journal.recorded("plan") == ["a/b", "b"]


def test_the_first_end_of_a_tier_stands(journal):
    journal.sealed("a", "sha256:1")
    journal.failed("a", "too late")
    assert journal.outcome("a") == Outcome("sha256:1", "")
    journal.failed("b", "first")
    journal.failed("b", "second")
    assert journal.outcome("b") == Outcome(None, "first")


def test_waiting_ends_with_the_tier(journal):
    threading.Timer(0.3, journal.sealed, ("a", "sha256:1")).start()
    assert journal.wait("a") == Outcome("sha256:1", "")


def test_waiting_ends_with_the_run(journal):
    threading.Timer(0.3, journal.end).start()
    with pytest.raises(RunError, match="the run ended while tier 'a'"):
        journal.wait("a")


def test_waiting_ends_with_the_process_that_it_works_for(journal, monkeypatch):
    employers = iter([1, 1, 2])
    monkeypatch.setattr(module.os, "getppid", lambda: next(employers))
    with pytest.raises(RunError, match="the run ended"):
        journal.wait("a")


def test_a_run_is_alive_while_it_is_held_and_ended_when_its_process_is_gone(journal):
    program = (
        "import sys; from pathlib import Path\n"
        f"from {Journal.__module__} import Journal\n"
        "held = Journal(Path(sys.argv[1])).hold(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(journal.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        assert journal.is_alive()
        assert list(ended_runs("demo")) == []
        holder.kill()
    assert not journal.is_alive()
    assert [each.run for each in ended_runs("demo")] == [journal.run]


def test_a_run_that_nobody_held_yet_counts_as_alive_for_a_while(journal):
    assert journal.is_alive()
    past = time.time() - 7200
    os.utime(journal.folder, (past, past))
    assert not journal.is_alive()


def test_chains_do_not_see_each_other_s_runs(journal):
    past = time.time() - 7200
    os.utime(journal.folder, (past, past))
    assert list(ended_runs("other")) == []
    assert len(list(ended_runs("demo"))) == 1
