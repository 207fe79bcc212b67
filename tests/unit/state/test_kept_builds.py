"""Records of kept builds, and logs of runs: private, limited in size, and without what `no_log` hides."""

from __future__ import annotations

import stat

import pytest
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.build_memory import Task
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state import run_log
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal, state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.kept_builds import (
    KeepRequest,
    KeptBuild,
    forget_kept,
    kept_build,
    kept_builds,
    note_kept,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.run_log import (
    KEPT_RUNS,
    note_result,
    past_tasks,
    read_logs,
    store_logs,
)

RUN = "20260102T030405Z-1b2c3d4e"
KEPT = KeptBuild(
    "shop", "web", RUN, "now", "unix:///x", "c1", "name", "s1", "p1", "p1", 1, 2.5, "no", KeepRequest("py")
)


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def begin():
    journal = Journal.begin("shop")
    write_plan(journal, "shop", Decision(Tier("web", "ops", "web", "latest"), Action.BUILD, (), None, {}), "web")
    return journal


def test_a_record_comes_back_and_is_private():
    note_kept(KEPT)
    assert kept_build("shop", "web") == KEPT
    assert list(kept_builds("shop")) == [KEPT]
    path = state_folder("shop") / "kept/web.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    forget_kept(KEPT)
    forget_kept(KEPT)
    assert kept_build("shop", "web") is None


def test_a_damaged_record_is_named_and_protects_nothing():
    note_kept(KEPT)
    (state_folder("shop") / "kept/web.json").write_text("{")
    assert list(kept_builds("shop")) == []
    with pytest.raises(DamagedError, match=r"kept/web\.json cannot be read"):
        kept_build("shop", "web")


def test_results_become_past_tasks_without_lines():
    journal = begin()
    note_result(journal, "web", Task("web", "Install", "web/tasks/main.yml:3"), "changed", [])
    note_result(journal, "web", Task("web", "Start", "web/tasks/main.yml:9"), "changed", [], waits=False)
    note_result(journal, "web", Task(None, "Before", None), "failed", ["why"])
    assert [(task.name, task.file, task.status) for task in past_tasks(journal, "web")] == [
        ("Install", "web/tasks/main.yml", "changed"),
        ("Start", "web/tasks/main.yml", "started"),
        ("Before", None, "failed"),
    ]


def test_the_last_runs_are_stored_privately():
    for _number in range(KEPT_RUNS + 2):
        journal = begin()
        note_result(journal, "web", Task("web", "Install", "web/tasks/main.yml:3"), "failed", ["why"])
        journal.failed("web", "task 'Install': why")
        store_logs(journal, {"web": ["why", "at length"]})
        journal.end()
    logs = read_logs("shop", "web")
    assert len(logs) == KEPT_RUNS
    assert logs[-1].result == "failed"
    assert logs[-1].failure == ["why", "at length"]
    assert logs[-1].tasks[0].said == ["why"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in state_folder("shop").glob("logs/web/*")} == {0o600}


def test_a_log_that_cannot_be_stored_is_an_error_for_its_caller():
    journal = begin()
    journal.failed("web", "why")
    (state_folder("shop") / "logs").write_text("not a folder")
    with pytest.raises(OSError, match="logs"):
        store_logs(journal, {})


def test_the_log_of_an_active_or_killed_run_is_read_from_its_journal():
    journal = begin()
    note_result(journal, "web", Task("web", "Install", "web/tasks/main.yml:3"), "ok", [])
    with (journal.folder / "web.results").open("a") as file:
        file.write('["{')  # a line that was not finished
    (log,) = read_logs("shop", "web")
    assert (log.run, log.result, log.ended, [task.name for task in log.tasks]) == (
        journal.run,
        "unfinished",
        None,
        ["Install"],
    )


def test_the_size_of_a_log_is_limited(monkeypatch):
    monkeypatch.setattr(run_log, "_TASKS", 3)
    monkeypatch.setattr(run_log, "_OUTPUT", 10)
    journal = begin()
    for number in range(5):
        note_result(journal, "web", Task("web", f"task {number}", None), "failed", ["x" * 5_000, "y" * 4])
    (log,) = read_logs("shop", "web")
    assert log.left_out == 2
    assert [task.name for task in log.tasks] == ["task 2", "task 3", "task 4"]
    assert [task.said for task in log.tasks] == [[], [], []]  # each is longer than the limit
    monkeypatch.setattr(run_log, "_JOURNAL", 0)
    note_result(journal, "web", Task("web", "last", None), "failed", ["short"])
    assert replace(read_logs("shop", "web")[0].tasks[-1], when="") == run_log.TaskResult(
        "", "failed", "last", "web", None, []
    )
