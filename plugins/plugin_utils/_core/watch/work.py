# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides what has to be done: a pure function of what is needed, what was done before, and the time.

- Work that succeeded is not repeated, unless what runs differs again.
- Work that was rejected (a test failed) or cancelled is not repeated until its subject changes. The survey says whether
  images that the target rolled back have another chance.
- Work that was interrupted, or failed for another reason, is repeated after growing pauses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from itertools import takewhile

import msgspec

from .run_records import RunOutcome, WatchRun
from .survey import WorkKind, WorkNeed

#: Seconds before the second attempt. Each later pause is twice as long, up to the longest one.
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 3600.0
#: Seconds until it is compared again if somebody else works on it: nothing tells when they end.
BUSY_PAUSE = 5.0


class WorkMove(Enum):
    """What to do with work."""

    #: Begin it now.
    START = "start"
    #: Begin it later.
    WAIT = "wait"
    #: Do not begin it, although something is out of date.
    HOLD = "hold"


class WorkDecision(msgspec.Struct, frozen=True):
    """A decision about work that has to be done. Work that need not be done has none."""

    need: WorkNeed
    move: WorkMove
    #: Why it has to be done, and for waiting and holding, why not now.
    reasons: tuple[str, ...]
    #: When to decide again, in seconds since 1970; ``None`` if the time changes nothing.
    at: float | None = None


def decide(needs: Iterable[WorkNeed], runs: Sequence[WatchRun], now: float) -> list[WorkDecision]:
    """Decide what to do.

    Args:
        needs: What a survey found.
        runs: The records of earlier runs, the newest first.
        now: The time, in seconds since 1970.

    Returns:
        A decision for each need that is not satisfied, in the order of the needs.
    """
    decided = (_decide(need, _attempts(need, runs), now) for need in needs)
    return [decision for decision in decided if decision is not None]


def _attempts(need: WorkNeed, runs: Sequence[WatchRun]) -> list[WatchRun]:
    """Return the newest runs of this kind, as long as they are about the same subject."""
    same_kind = [run for run in runs if (run.kind, run.about) == (need.kind, need.about)]
    return list(takewhile(lambda run: run.subject == need.subject, same_kind))


def _decide(need: WorkNeed, attempts: Sequence[WatchRun], now: float) -> WorkDecision | None:
    last = attempts[0] if attempts else None
    reasons = need.reasons or _unfinished(need, last)
    if not reasons or _is_tried(need, last):
        return None
    if last is not None and last.outcome is None:  # its end is a sign
        return WorkDecision(need, WorkMove.WAIT, (*reasons, f"run {last.id} works on it"))
    if need.busy:
        return WorkDecision(need, WorkMove.WAIT, (*reasons, "somebody else works on it"), now + BUSY_PAUSE)
    if held := need.rejected or _held_because(need, last):
        return WorkDecision(need, WorkMove.HOLD, (*reasons, held))
    if last is not None and now < (at := _moment(last) + _pause(attempts)):
        return WorkDecision(need, WorkMove.WAIT, (*reasons, f"run {last.id} {_ended(last)}; it is repeated later"), at)
    return WorkDecision(need, WorkMove.START, reasons)


def _unfinished(need: WorkNeed, last: WatchRun | None) -> tuple[str, ...]:
    """Say what is left to do although there is no difference any more.

    A run updates the lock file first, so afterwards only its record says that the build is missing.
    """
    if need.interrupted:
        return ("an earlier attempt did not end",)
    if need.kind is WorkKind.FOLLOW and last is not None and last.outcome is not RunOutcome.SUCCEEDED:
        return ("what is locked is not built yet",)
    return ()


def _is_tried(need: WorkNeed, last: WatchRun | None) -> bool:
    """Say whether a candidate was tried, although no tier could publish a verdict."""
    return need.kind is WorkKind.TRY and last is not None and last.outcome is RunOutcome.SUCCEEDED


def _held_because(need: WorkNeed, last: WatchRun | None) -> str:
    if last is None:
        return ""
    is_rejected = last.outcome is RunOutcome.REJECTED and need.kind is not WorkKind.DEPLOY
    if is_rejected or last.outcome is RunOutcome.CANCELLED:
        return f"run {last.id} {_ended(last)}; it is not repeated until something changes"
    return ""


def _ended(run: WatchRun) -> str:
    verb = run.outcome.verb if run.outcome else "has not ended"
    return f"{verb}: {run.reason}" if run.reason else verb


def _moment(run: WatchRun) -> float:
    return datetime.fromisoformat(run.ended or run.began).timestamp()


def _pause(attempts: Sequence[WatchRun]) -> float:
    """Return how long to wait after the newest attempt, in seconds. The first interruption is not its own fault."""
    count = len(attempts) - 1 if attempts[0].outcome is RunOutcome.INTERRUPTED else len(attempts)
    return min(FIRST_PAUSE * 2.0 ** (min(count, 20) - 1), LONGEST_PAUSE) if count > 0 else 0.0
