"""The journal of a run: how tasks exchange results, and how the end of a run is noticed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import parent_process
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import (
    Journal,
    Outcome,
    chains,
    runs,
    state_folder,
)


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def journal():
    return Journal.begin("demo")


def test_a_journal_is_private(journal):
    assert journal.folder.stat().st_mode & 0o777 == 0o700


def test_chains_with_a_state_folder_are_listed():
    assert chains() == []
    for chain in ("b/c", "a"):
        state_folder(chain).mkdir(parents=True)
    (state_folder("a").parent / "file").write_text("")
    assert chains() == ["a", "b/c"]


@pytest.mark.parametrize("tier", ["httpd-php", "odd/../name", "ünï", ".hidden", "a b"])
def test_a_record_can_be_read_back(journal, tier):
    assert journal.read_record("outcome", tier, Outcome) is None
    journal.write("outcome", tier, Outcome("sha256:1", "kept"))
    assert journal.read_record("outcome", tier, Outcome) == Outcome("sha256:1", "kept")
    assert journal.read_record("plan", tier, Outcome) is None
    assert list(journal.folder.parent.parent.rglob("*.json")) == list(journal.folder.glob("*.json")) or tier[0] == "."


@pytest.mark.parametrize("text", ["", "[]", "null", '{"image": 1, "reason": ""}'])
def test_the_message_about_a_damaged_record_names_the_file(journal, text):
    path = journal.folder / "web.outcome.json"
    path.write_text(text)
    with pytest.raises(RunError, match=f"^{path} of this run is damaged: Expect"):
        journal.outcome("web")


def test_unknown_fields_of_a_record_are_ignored(journal):
    journal.write("outcome", "web", {"image": None, "reason": "why", "new": 1})
    assert journal.outcome("web") == Outcome(None, "why")


def test_recorded_tiers_are_listed(journal):
    for tier in ("b", "a/b"):
        journal.write("plan", tier, {})
    journal.passed("c", "sha256:1")
    assert journal.recorded("plan") == ["a/b", "b"]


def test_the_first_outcome_of_a_tier_is_final(journal):
    journal.passed("a", "sha256:1")
    journal.failed("a", "too late")
    assert journal.outcome("a") == Outcome("sha256:1", "")
    journal.failed("b", "first")
    journal.failed("b", "second")
    assert journal.outcome("b") == Outcome(None, "first")


def test_waiting_ends_with_the_outcome_of_the_tier(journal):
    threading.Timer(0.3, journal.passed, ("a", "sha256:1")).start()
    assert journal.wait("a") == Outcome("sha256:1", "")


def test_waiting_ends_with_the_run(journal):
    threading.Timer(0.3, journal.end).start()
    with pytest.raises(RunError, match="the run ended while a task waited for tier 'a'"):
        journal.wait("a")


def test_waiting_ends_with_the_parent_process(journal, monkeypatch):
    parent_ids = iter([1, 1, 2])
    monkeypatch.setattr(parent_process.os, "getppid", lambda: next(parent_ids))
    with pytest.raises(RunError, match="the run ended"):
        journal.wait("a")


PROGRAM = f"""
import sys
from pathlib import Path
from {Journal.__module__} import Journal
held = Journal(Path(sys.argv[1])).hold()
print("held", flush=True)
sys.stdin.read()
"""


def mark_holder_ended(journal):
    path = journal.folder / "holder"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"birth": "another"}))


def test_a_run_is_alive_while_a_living_process_holds_it(journal):
    mark_holder_ended(journal)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(journal.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        assert journal.is_alive()
        process.kill()
    assert not journal.is_alive()


def test_a_run_without_a_holder_is_alive_while_its_main_process_is(journal):
    assert journal.is_alive()
    mark_holder_ended(journal)
    assert not journal.is_alive()


def test_a_run_that_was_killed_before_it_wrote_its_holder_has_ended(journal):
    (journal.folder / "holder").write_text("")
    assert journal.holder is None
    assert not journal.is_alive()


def test_a_holder_with_a_different_host_or_start_time_is_not_running(journal):
    holder = journal.holder
    assert holder.is_running()
    assert holder.is_parent_process()
    assert not msgspec.structs.replace(holder, host="elsewhere").is_running()
    assert not msgspec.structs.replace(holder, birth="1").is_running()
    assert not msgspec.structs.replace(holder, pid=2**22 + 1).is_running()


def test_a_chain_has_only_its_own_runs(journal):
    assert list(runs("other")) == []
    assert [run.run for run in runs("demo")] == [journal.run]


@pytest.mark.parametrize("tier", [".x", "..", "a/b", "web.plan.json"])
def test_a_tier_of_any_name_is_recorded(journal, tier):
    journal.passed(tier, "sha256:1")
    assert journal.recorded("outcome") == [tier]
    assert {path.parent for path in journal.folder.rglob("*.outcome.json")} == {journal.folder}


@pytest.mark.parametrize("chain", [".", "..", "../..", "/etc"])
def test_a_chain_of_any_name_has_its_own_state_folder(chain):
    assert state_folder(chain).resolve().parent == state_folder("demo").resolve().parent
