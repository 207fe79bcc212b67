"""The profile of a run: which seconds belong to which tier, task and step."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import stopwatch
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.profile import run_profile
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.profile.measuring import TaskTime, start_measuring
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.profile.run_profile import StepTime
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.profile.table import profile_lines
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.result import check_files, note_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import (
    GateRecord,
    PassedTest,
    write_tested,
)

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schemas/tier_profile.json").read_text())
OWN = "tierwright.chain."
BEGAN = 1_000.0


def task(host, number, action, at, seconds, role=None, result="ok"):
    began = BEGAN + at
    return TaskTime(host, str(number), f"Task {number}", role, None, action, result, began, began + seconds)


TASKS = [
    task("base", 0, OWN + "tier_plan", 0, 1),
    task("core", 1, OWN + "tier_start", 1, 2),
    task("core", 2, "ansible.builtin.setup", 3, 1),
    task("core", 3, "ansible.builtin.apt", 4.5, 3, role="core"),
    task("core", 4, OWN + "tier_seal", 8, 2),
    task("core", 5, OWN + "tier_test", 10, 4),
    task("web", 6, OWN + "tier_start", 2, 9),
    task("web", 7, "ansible.builtin.setup", 11, 1, role="web"),
    task("web", 8, OWN + "tier_test", 12, 3),
    task("late", 9, OWN + "tier_start", 15, 1, result="failed"),
    task("base", 10, OWN + "tier_promote", 16, 0.5),
    task("base", 11, OWN + "tier_publish", 16.5, 0.1, result="skipped"),
]


@pytest.fixture
def journal(monkeypatch, tmp_path, make_tier):
    """A run over a kept base, and three tiers; `web` and `late` have the parent `core`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    journal = Journal.begin("demo")
    for name, parent in {"base": None, "core": "base", "web": "core", "late": "core"}.items():
        action = Action.KEEP if parent is None else Action.BUILD
        image = "sha256:base" if parent is None else None
        write_plan(journal, "demo", Decision(make_tier(name, parent), action, ("why",), image, {}), None)
    note_files(journal, {"profile": str(tmp_path / "profile.json")})
    return journal


def measure(journal, *spans):
    """Record spans, as the workers of the run do: (host, task, step, at, seconds)."""
    work = {"host": "", "task": ""}
    assert start_measuring(journal, lambda: (work["host"], work["task"]))
    for host, number, step, at, seconds in spans:
        work.update(host=host, task=str(number))
        stopwatch.note(step, BEGAN + at, BEGAN + at + seconds)
    stopwatch.stop()


def profile_of(journal):
    return run_profile.make_profile(journal, TASKS, BEGAN, BEGAN + 17)


def tier_of(profile, name):
    return next(tier for tier in profile.tiers if tier.tier == name)


def test_each_second_of_a_tier_has_one_field(journal):
    measure(journal, ("web", 6, "wait for the parent", 2, 8), ("web", 8, "wait for the tests of the parent", 13, 1.5))
    profile = profile_of(journal)
    core, web = tier_of(profile, "core"), tier_of(profile, "web")
    assert (core.start, core.facts, core.tasks, core.seal, core.tests) == (2, 1, 3, 2, 4)
    assert (core.at, core.seconds, core.between_tasks, core.waiting_for_fork) == (1, 13, 1, 0)
    assert (web.waiting_for_parent, web.start, web.tests, web.waiting_for_tests) == (8, 1, 1.5, 1.5)
    assert (web.facts, web.tasks) == (0, 1), "facts that a role gathers are a task of the role"
    for tier in profile.tiers:
        fields = ("waiting_for_parent", "source", "start", "facts", "tasks", "seal", "tests", "waiting_for_tests")
        assert sum(getattr(tier, name) for name in (*fields, "between_tasks")) == pytest.approx(tier.seconds)


def test_steps_of_the_run_belong_to_no_tier(journal):
    profile = profile_of(journal)
    assert profile.steps == [StepTime("plan", 1.0), StepTime("promote", 0.5)]
    assert {tier.tier for tier in profile.tiers} == {"core", "web", "late"}
    assert profile.seconds == 17


def test_a_tier_waits_for_a_fork_only_while_its_parent_has_an_image(journal):
    journal.write("candidate", "core", {"image": "sha256:core"})
    os.utime(journal._path("candidate", "core"), (BEGAN + 10, BEGAN + 10))
    profile = profile_of(journal)
    assert (
        tier_of(profile, "late").waiting_for_fork == 5
    )  # the parent's image was there at 10, and the tier began at 15
    assert tier_of(profile, "web").waiting_for_fork == 0


def test_time_inside_a_module_and_the_phases_of_apt_belong_to_their_task(journal):
    measure(
        journal,
        ("core", 3, "module", 4.6, 2.5),
        ("core", 3, "transfer", 4.5, 0.1),
        ("core", 4, "apt: configure", 6, 1),  # they are read while the tier is sealed
        ("core", 4, "apt: unpack", 5, 0.5),
        ("core", 4, "apt: unpack", 5.5, 0.25),
        ("core", 4, "list the changes", 8, 0.25),
    )
    install, seal = tier_of(profile_of(journal), "core").task_list[2:4]
    assert (install.module, install.transfer) == (2.5, 0.1)
    assert install.apt == [StepTime("unpack", 0.75), StepTime("configure", 1.0)]
    assert (seal.apt, seal.steps) == ([], [StepTime("list the changes", 0.25)])


def test_the_engine_loads_from_the_last_written_byte_on(journal):
    measure(journal, ("core", 4, "write", 8.5, 0.5), ("core", 4, "send", 8.25, 1.5))
    assert tier_of(profile_of(journal), "core").task_list[3].steps == [StepTime("write", 0.5), StepTime("load", 0.75)]


def test_tests_have_their_seconds(journal):
    ran = (PassedTest("t.py::one", 0.5),)
    write_tested(journal, "core", GateRecord("sha256:core", passed=True, seconds=1, tests=1, ran=ran))
    tests = tier_of(profile_of(journal), "core").test_list
    assert [(test.test, test.seconds) for test in tests] == [("t.py::one", 0.5)]


def test_the_file_has_the_published_form_from_the_beginning(journal, tmp_path):
    file = tmp_path / "profile.json"
    run_profile.begin_profile({"profile": str(file)}, "demo", journal.run)
    begun = json.loads(file.read_text())
    jsonschema.validate(begun, SCHEMA)
    assert (begun["ended"], begun["tiers"]) == (None, [])
    measure(journal, ("core", 3, "module", 4.6, 2.5))
    run_profile.write_profile(journal, TASKS, BEGAN, BEGAN + 17)
    written = json.loads(file.read_text())
    jsonschema.validate(written, SCHEMA)
    assert written["run"] == journal.run
    assert written["tiers"][0]["task_list"]


def test_a_file_that_cannot_be_written_is_named(journal, tmp_path):
    with pytest.raises(ChainError, match=r"tier_profile is .*expected a file in a folder that exists"):
        check_files({"profile": str(tmp_path / "missing/profile.json")})
    target = tmp_path / "profile.json"
    target.mkdir()
    with pytest.raises(ChainError, match=r"tier_profile: .*profile.json cannot be written"):
        run_profile.begin_profile({"profile": str(target)}, "demo", journal.run)
    with pytest.raises(RunError, match=r"tier_profile: .*profile.json cannot be written"):
        run_profile.write_profile(journal, TASKS, BEGAN, BEGAN + 17)


def test_a_run_without_a_profile_measures_nothing(journal):
    note_files(journal, {})
    assert not start_measuring(journal, lambda: ("core", "1"))
    assert not stopwatch.is_running()


def test_the_table_shows_tiers_and_slow_tasks_without_their_waits(journal):
    measure(
        journal,
        ("web", 6, "wait for the parent", 2, 8),
        ("core", 3, "apt: unpack", 5, 0.75),
    )
    lines = list(profile_lines(profile_of(journal)))
    assert lines[0] == "time of this run: 17.0 s, plan 1.0, promote 0.5"
    assert lines[1].split()[:3] == ["TIER", "ALL", "FORK"]
    assert "SOURCE" not in lines[1], "nothing was made from a source"
    rows = {line.split()[0]: line.split() for line in lines[2:5]}
    assert rows["core"][1:4] == ["13.0", "-", "-"]
    assert rows["web"][1:4] == ["13.0", "1.0", "8.0"]
    slow = lines[lines.index("slowest tasks:") + 1 :]
    assert "     3.0  core: Task 3 (unpack 0.8)" in slow
    assert "     1.0  web: Task 6" in slow
    assert max(map(len, lines)) <= 160


MOMENTS = st.floats(0, 20, allow_nan=False)


@given(made=st.lists(st.tuples(MOMENTS, MOMENTS, st.sampled_from(["ok", "unfinished"])), min_size=1, max_size=6))
def test_no_order_of_moments_gives_negative_seconds(made, tmp_path_factory):
    """Clocks step back, and processes are killed."""
    times = [
        TaskTime("core", str(number), "Task", None, None, OWN + "tier_start", how, BEGAN + began, BEGAN + ended)
        for number, (began, ended, how) in enumerate(made)
    ]
    journal = Journal(tmp_path_factory.mktemp("journal"))
    profile = run_profile._profile_tier(journal, "core", times, [], BEGAN, BEGAN)
    numbers = [value for name in profile.__slots__ if isinstance(value := getattr(profile, name), float)]
    assert all(number >= 0 for number in numbers)
