"""What has to be done follows from what is needed, what was done before, and the time."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.run_records import RunOutcome
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import WorkKind, WorkNeed
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.work import (
    BUSY_PAUSE,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    WorkMove,
    decide,
)

pytestmark = pytest.mark.once

ENDED = datetime.fromisoformat("2026-11-29T20:10:00Z").timestamp()
LATER = ENDED + 10 * LONGEST_PAUSE


def moves(needs, runs, now=LATER):
    return [decision.move for decision in decide(needs, runs, now)]


def test_nothing_is_done_if_nothing_differs(make_need):
    assert decide([make_need(reasons=())], [], LATER) == []


def test_a_difference_is_worked_on(make_need):
    (decision,) = decide([make_need()], [], LATER)
    assert (decision.move, decision.reasons) == (WorkMove.START, ("web runs 1; latest is 2",))


@pytest.mark.parametrize("outcome", [RunOutcome.REJECTED, RunOutcome.CANCELLED])
def test_what_was_rejected_or_cancelled_is_held_until_something_changes(make_need, make_run, outcome):
    runs = [make_run(outcome, need=make_need(kind=WorkKind.FOLLOW), reason="a test failed")]
    (decision,) = decide([make_need(kind=WorkKind.FOLLOW)], runs, LATER)
    assert decision.move is WorkMove.HOLD
    assert "a test failed; it is not repeated" in decision.reasons[-1]
    assert moves([make_need(kind=WorkKind.FOLLOW, subject={"web": "sha256:3"})], runs) == [WorkMove.START]


def test_a_roll_out_that_was_rolled_back_once_is_tried_again_later(make_need, make_run):
    (decision,) = decide([make_need()], [make_run(RunOutcome.REJECTED, reason="web was rolled back")], LATER)
    assert decision.move is WorkMove.START


def test_an_earlier_image_is_tried_again_after_another_one(make_need, make_run):
    other = make_run(RunOutcome.SUCCEEDED, subject={"web": "sha256:3"})
    assert moves([make_need()], [other, make_run(RunOutcome.REJECTED)]) == [WorkMove.START]


def test_what_the_target_rolled_back_is_held_whoever_deployed_it(make_need):
    (decision,) = decide([make_need(rejected="deployment deploy-1 was rolled back")], [], LATER)
    assert (decision.move, decision.reasons[-1]) == (WorkMove.HOLD, "deployment deploy-1 was rolled back")


def test_a_deployment_of_somebody_else_is_waited_for(make_need):
    (decision,) = decide([make_need(busy=True, rejected="x")], [], LATER)
    assert (decision.move, decision.at) == (WorkMove.WAIT, LATER + BUSY_PAUSE)


def test_an_unfinished_deployment_is_repeated_although_nothing_differs(make_need):
    assert moves([make_need(reasons=(), interrupted=True)], []) == [WorkMove.START]


def test_a_run_that_goes_on_is_waited_for(make_need, make_run):
    (decision,) = decide([make_need(busy=True)], [make_run(None, ended=None)], LATER)
    assert (decision.move, decision.at) == (WorkMove.WAIT, None)


@pytest.mark.parametrize(
    ("outcome", "wanted"),
    [
        (RunOutcome.INTERRUPTED, [WorkMove.START]),
        (RunOutcome.FAILED, [WorkMove.START]),
        (RunOutcome.TIMED_OUT, [WorkMove.START]),
        (RunOutcome.REJECTED, [WorkMove.HOLD]),
        (RunOutcome.SUCCEEDED, []),
    ],
)
def test_a_build_is_not_forgotten_although_its_lock_file_is_up_to_date(make_need, make_run, outcome, wanted):
    need = make_need(kind=WorkKind.FOLLOW, reasons=())
    assert moves([need], [make_run(outcome, need=need)]) == wanted
    assert moves([replace(need, subject={"corebuild": "other"})], [make_run(outcome, need=need)]) == []


def test_a_candidate_that_was_tried_is_not_tried_again_without_a_verdict(make_need, make_run):
    need = make_need(kind=WorkKind.TRY)
    assert moves([need], [make_run(RunOutcome.SUCCEEDED, need=need)]) == []
    assert moves([need], [make_run(RunOutcome.FAILED, need=need)]) == [WorkMove.START]


def test_the_first_interruption_causes_no_pause(make_need, make_run):
    assert moves([make_need()], [make_run(RunOutcome.INTERRUPTED)], ENDED) == [WorkMove.START]
    assert moves([make_need()], [make_run(RunOutcome.INTERRUPTED)] * 2, ENDED) == [WorkMove.WAIT]


@given(
    outcomes=st.lists(st.sampled_from([RunOutcome.FAILED, RunOutcome.TIMED_OUT, RunOutcome.SUCCEEDED]), min_size=1),
    seconds=st.floats(0, 2 * LONGEST_PAUSE),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pauses_grow_and_end(make_need, make_run, outcomes, seconds):
    """Repeated work waits longer each time, and never longer than an hour: nothing is forgotten."""
    runs = [make_run(outcome) for outcome in outcomes]
    (decision,) = decide([make_need()], runs, ENDED + seconds)
    pause = min(FIRST_PAUSE * 2 ** (min(len(runs), 30) - 1), LONGEST_PAUSE)
    assert decision.move is (WorkMove.WAIT if seconds < pause else WorkMove.START)
    assert decision.at == (ENDED + pause if decision.move is WorkMove.WAIT else None)
    assert moves([make_need()], runs, ENDED + LONGEST_PAUSE) == [WorkMove.START]


SUBJECTS = st.sampled_from([{"web": "1"}, {"web": "2"}])
NEEDS = st.builds(
    WorkNeed,
    kind=st.sampled_from(WorkKind),
    about=st.sampled_from(["shop", "wiki"]),
    subject=SUBJECTS,
    reasons=st.sampled_from([(), ("it differs",)]),
    rejected=st.sampled_from(["", "it was rolled back"]),
    busy=st.booleans(),
    interrupted=st.booleans(),
)


@given(need=NEEDS, history=st.lists(st.tuples(NEEDS, st.sampled_from([None, *RunOutcome]))), now=st.floats(0, 10**10))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wild_histories(make_run, need, history, now):
    """Nothing is repeated that was done or rejected, and nothing that differs is without a decision and a reason."""
    ended = "2026-11-29T20:10:00Z"
    runs = [make_run(outcome, need=each, ended=outcome and ended) for each, outcome in history]
    decisions = decide([need], runs, now)
    same = [run for run in runs if (run.kind, run.about) == (need.kind, need.about)]
    last = same[0] if same and same[0].subject == need.subject else None
    assert all(decision.reasons for decision in decisions)
    if need.reasons and not decisions:
        assert (need.kind, last and last.outcome) == (WorkKind.TRY, RunOutcome.SUCCEEDED)
    if decisions and decisions[0].move is WorkMove.START:
        assert not need.busy
        assert not need.rejected
        held = {None, RunOutcome.CANCELLED, *([RunOutcome.REJECTED] if need.kind is not WorkKind.DEPLOY else [])}
        assert last is None or last.outcome not in held
        assert need.reasons or need.interrupted or last.outcome is not RunOutcome.SUCCEEDED
    if not need.reasons and not need.interrupted and (last is None or need.kind is not WorkKind.FOLLOW):
        assert decisions == []
