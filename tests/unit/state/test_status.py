"""The status of tiers after plans and runs."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal, state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import (
    FailedTestRecord,
    note_plan,
    note_run,
    read_status,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import (
    GateRecord,
    RejectedTest,
    write_tested,
)

PARENTS = {"base": None, "core": "base", "web": "core", "db": "core"}


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def plan(make_tier):
    """Plan an action for each named tier. --limit excludes the other tiers."""

    def plan_(*, recorded=True, **actions):
        decisions = {
            name: Decision(
                make_tier(name, parent), Action(actions.get(name, "leave")), (f"why {name}",), f"old-{name}", {}
            )
            for name, parent in PARENTS.items()
        }
        if recorded:
            note_plan("demo", decisions, list(actions))
        return decisions

    return plan_


@pytest.fixture
def run(plan):
    """Run with an end for each named tier: its image, the reason of its failure, or the test that failed."""

    def run_(ends, **actions):
        journal = Journal.begin("demo")
        for decision in plan(**actions).values():
            write_plan(journal, "demo", decision, None)
        for tier, end in ends.items():
            if end.startswith("sha256:"):
                journal.passed(tier, end)
            elif end.startswith("test_"):
                journal.passed(tier, "sha256:9")
                failed = RejectedTest(end, "ops", "base", "no", "")
                write_tested(journal, tier, GateRecord("sha256:9", passed=False, seconds=1, tests=2, failed=(failed,)))
            else:
                journal.failed(tier, end)
        note_run(journal)
        journal.end()

    return run_


def states():
    return {name: standing.state for name, standing in read_status("demo").items()}


def everything(action):
    return dict.fromkeys(PARENTS, action)


def test_there_is_no_status_before_the_first_plan():
    assert read_status("demo") == {}


def test_a_tier_to_build_is_stale_until_a_run_builds_it(plan, run):
    plan(**everything("keep") | {"web": "build"})
    assert states() == {"base": "", "core": "", "web": "stale", "db": ""}
    web = read_status("demo")["web"]
    assert (web.parent, web.release, web.wanted.reasons) == ("core", "web:latest", ["why web"])
    run({"web": "sha256:1"}, **everything("keep") | {"web": "build"})
    assert set(states().values()) == {""}
    assert read_status("demo")["web"].ended.image == "sha256:1"
    assert read_status("demo")["db"].ended.result == "kept"


def test_descendants_of_a_failed_tier_are_not_reached(run):
    ends = {
        "base": "sha256:1",
        "core": "task: it is broken",
        "web": "tier 'web' is not built: its parent 'core' failed",
    }
    run(ends, **everything("build"))
    assert states() == {"base": "", "core": "failed", "web": "not reached", "db": "not reached"}
    assert read_status("demo")["core"].ended.said == "task: it is broken"


def test_a_tier_with_a_failed_test_has_failed(run):
    run({"web": "test_php"}, **everything("keep") | {"web": "build"})
    assert states()["web"] == "failed"
    assert (read_status("demo")["web"].ended.tests, read_status("demo")["web"].ended.failures) == (
        2,
        [FailedTestRecord("test_php", "ops", "no")],
    )


def test_a_kept_image_can_fail(run):
    """Its tests or a contract of an ancestor have changed."""
    run({"db": "its tests cannot be run"}, **everything("keep"))
    assert states() == {"base": "", "core": "", "web": "", "db": "failed"}


def test_a_run_that_only_tests_leaves_stale_tiers_stale(plan, run):
    plan(**everything("keep") | {"web": "build"})
    run({}, recorded=False, **everything("keep"))
    assert states() == {"base": "", "core": "", "web": "stale", "db": ""}
    run({"web": "its tests fail"}, recorded=False, **everything("keep"))
    assert states()["web"] == "failed"
    run({"web": "sha256:1"}, web="build")
    assert states()["web"] == ""


def test_a_tier_is_failed_until_a_plan_keeps_it(plan, run):
    run({"web": "broken"}, web="build")
    plan(web="build")
    assert states()["web"] == "failed"
    plan(web="keep")
    assert states()["web"] == ""


def test_tiers_outside_the_run_keep_their_status(run):
    run({"web": "broken"}, **everything("keep") | {"web": "build"})
    run({"db": "sha256:2"}, db="build")
    assert states() == {"base": "", "core": "", "web": "failed", "db": ""}


def test_a_removed_tier_has_no_status(plan, monkeypatch):
    plan(**everything("keep"))
    monkeypatch.delitem(PARENTS, "db")
    plan(**everything("keep"))
    assert list(read_status("demo")) == ["base", "core", "web"]


def test_the_status_file_is_private_and_may_be_damaged(plan):
    plan(**everything("keep"))
    path = state_folder("demo") / "standing.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text('{"web": {}}')
    with pytest.raises(DamagedError, match=f"^{path} cannot be read: .* field `tier` - at .*; remove it"):
        read_status("demo")
    plan(**everything("keep"))
    assert list(read_status("demo")) == list(PARENTS)
    path.write_text(path.read_text().replace(read_status("demo")["web"].wanted.when, "yesterday"))
    with pytest.raises(DamagedError, match="Invalid isoformat string"):
        read_status("demo")


def test_a_plan_succeeds_if_the_status_cannot_be_written(plan, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    plan(**everything("keep"))
