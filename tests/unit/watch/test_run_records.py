"""Records of runs survive kills, and say what was interrupted."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import NotFoundError, RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.playbook_process import (
    PlaybookProcess,
    end_leftover,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.run_records import (
    RunOutcome,
    begin_run,
    end_run,
    find_run,
    is_cancel_requested,
    open_runs,
    read_runs,
    remove_old_runs,
    request_cancel,
    run_folder,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import WorkKind

pytestmark = pytest.mark.once

HERE = ["/srv/site.yml"]
#: Begins a run, and waits for its death.
WATCHER = """
import sys, time
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.run_records import begin_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import WorkKind, WorkNeed
print(begin_run(WorkNeed(WorkKind.DEPLOY, "shop", {"web": "2"}), ["why"], ["/srv/site.yml"]).id, flush=True)
time.sleep(60)
"""


def test_a_record_is_there_before_the_run_and_after_it(make_need):
    run = begin_run(make_need(), ["web runs 1"], HERE)
    assert (find_run(run.id), run.outcome, run.seconds) == (run, None, None)
    ended = end_run(run, RunOutcome.REJECTED, "it was rolled back")
    assert find_run(run.id) == ended
    assert (ended.outcome, ended.seconds >= 0) == (RunOutcome.REJECTED, True)
    assert stat.S_IMODE(run_folder(run.id).stat().st_mode) == 0o700


def test_runs_of_one_second_have_different_names(make_need):
    names = {begin_run(make_need(kind=WorkKind.TRY), [], HERE).id for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("try-candidates-20") for name in names)


def test_the_record_of_a_killed_watcher_is_interrupted():
    with subprocess.Popen([sys.executable, "-c", WATCHER], stdout=subprocess.PIPE, text=True) as watcher:
        name = watcher.stdout.readline().strip()
        assert find_run(name).outcome is None
        watcher.send_signal(signal.SIGKILL)
    assert find_run(name).outcome is RunOutcome.INTERRUPTED
    assert [run.id for run in open_runs(HERE)] == [name]
    assert list(open_runs(["/srv/other.yml"])) == []
    end_run(next(open_runs(HERE)), RunOutcome.INTERRUPTED)
    assert list(open_runs(HERE)) == []


def test_damaged_and_unfinished_records_are_left_out(make_need):
    run = begin_run(make_need(), [], HERE)
    for name, text in (("a", ""), ("b", "{"), ("c", json.dumps({"id": "c"}))):
        run_folder(name).mkdir()
        (run_folder(name) / "run.json").write_text(text)
    run_folder("d").mkdir()
    assert [each.id for each in read_runs()] == [run.id]
    for name in ("none", "../state", ".."):
        with pytest.raises(NotFoundError, match="tierwright runs"):
            find_run(name)


def test_old_runs_are_removed_except_the_newest_of_each_kind(make_need):
    kinds = [WorkKind.FOLLOW, *[WorkKind.DEPLOY] * 4]
    runs = [end_run(begin_run(make_need(kind=kind), [], HERE), RunOutcome.SUCCEEDED) for kind in kinds]
    going_on = begin_run(make_need(), [], HERE)
    other = end_run(begin_run(make_need(), [], ["/srv/other.yml"]), RunOutcome.SUCCEEDED)
    remove_old_runs(HERE, 2)
    left = {run.id for run in read_runs()}
    # Runs of one second are sorted by their names, so the first run may be one of the two newest.
    assert {runs[0].id, runs[-1].id, going_on.id, other.id} <= left
    assert 1 <= len(left & {run.id for run in runs[1:]}) <= 2


def test_a_run_is_cancelled_through_its_folder(make_need):
    run = begin_run(make_need(), [], HERE)
    assert not is_cancel_requested(run)
    request_cancel(run)
    assert is_cancel_requested(run)
    with pytest.raises(RunError, match="was cancelled, so it cannot be cancelled"):
        request_cancel(end_run(run, RunOutcome.CANCELLED))


def test_a_state_folder_that_cannot_be_written_to_is_one_sentence(make_need, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/none")
    with pytest.raises(RunError, match="so nothing is begun; set XDG_STATE_HOME"):
        begin_run(make_need(), [], HERE)


@pytest.mark.parametrize("ignores", [False, True])
def test_a_leftover_playbook_is_ended(tmp_path, ignores):
    """It is interrupted first, and killed if it ignores that."""
    action = "signal.signal(signal.SIGINT, signal.SIG_IGN)" if ignores else "pass"
    text = f"import signal, time; {action}; print(1, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", text], start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        process.stdout.readline()
        birth = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        (tmp_path / "process.json").write_text(json.dumps({"pid": process.pid, "birth": birth}))
        assert end_leftover(tmp_path, grace=0.5)
        assert process.wait(10) in ({-9} if ignores else {1, -2})
    assert not end_leftover(tmp_path)


def test_a_process_that_only_has_the_same_number_is_left_alone(tmp_path):
    assert not PlaybookProcess(os.getpid(), "1").is_running
    (tmp_path / "process.json").write_text(json.dumps({"pid": os.getpid(), "birth": "1"}))
    assert not end_leftover(tmp_path)
    assert not end_leftover(tmp_path / "none")
