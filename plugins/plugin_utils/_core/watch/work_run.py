# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does one piece of work: records it, runs its playbooks, and records how it ended."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import msgspec

from ..errors import TierwrightError
from ..records import decode
from ..run.result import RunResult
from ..state.status import FAILED
from .playbook_run import PlaybookEnd, run_playbooks
from .run_records import RunOutcome, WatchRun, begin_run, end_run, is_cancel_requested, output_path, run_folder
from .site_survey import rejected_deployment
from .survey import WorkKind
from .work import WorkDecision

#: The playbooks of each kind of work, in their order.
PLAYBOOKS: dict[WorkKind, tuple[str, ...]] = {
    WorkKind.FOLLOW: ("tierwright.chain.update", "tierwright.chain.build_chain"),
    WorkKind.TRY: ("tierwright.chain.try_candidate",),
    WorkKind.DEPLOY: ("tierwright.chain.deploy",),
}

_RESULT = "result.json"
#: Bytes of output after which a run is ended.
_MOST_OUTPUT = 64 << 20


class Watched(msgspec.Struct, frozen=True):
    """What a watcher watches."""

    #: Its inventories, as absolute paths. They name the watcher.
    inventories: tuple[str, ...]
    #: Options for ansible-playbook, with the inventories.
    arguments: tuple[str, ...]


def do_work(
    decision: WorkDecision,
    watched: Watched,
    time_limit: float,
    stop: Event,
    began: Callable[[WatchRun], None],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> WatchRun:
    """Do what was decided, and return the record of the run.

    Args:
        decision: The decision to start it.
        watched: What is watched.
        time_limit: Seconds that it may take.
        stop: Ends it when it is set.
        began: Called with the record when it begins.
        clock: Returns a time in seconds.

    Raises:
        RunError: The run cannot be recorded, so nothing was done.
        OSError: The end of the run cannot be recorded.
    """
    run = begin_run(decision.need, list(decision.reasons), list(watched.inventories))
    began(run)
    folder, deadline = run_folder(run.id), clock() + time_limit

    def why_end() -> PlaybookEnd | None:
        if stop.is_set():
            return PlaybookEnd(RunOutcome.INTERRUPTED, "the watcher was stopped")
        if is_cancel_requested(run):
            return PlaybookEnd(RunOutcome.CANCELLED, "a user cancelled it")
        if clock() > deadline:
            return PlaybookEnd(RunOutcome.TIMED_OUT, f"it took more than {time_limit:g} seconds (watch_time_limit)")
        if _output_size(folder) > _MOST_OUTPUT:
            return PlaybookEnd(RunOutcome.FAILED, f"its output is larger than {_MOST_OUTPUT >> 20} MiB")
        return None

    try:
        end = run_playbooks(folder, PLAYBOOKS[run.kind], [*watched.arguments, *_options(run, folder)], why_end)
        end = _judge(run, folder, end)
    except TierwrightError as error:
        end = PlaybookEnd(RunOutcome.FAILED, str(error))
    except BaseException:
        end_run(run, RunOutcome.FAILED, "the watcher has a bug; its own output says more")
        raise
    (folder / _RESULT).unlink(missing_ok=True)  # the output has what is in it for people
    return end_run(run, end.outcome, end.reason)


def _options(run: WatchRun, folder: Path) -> list[str]:
    if run.kind is WorkKind.DEPLOY:
        return []
    return ["-e", json.dumps({"tier_result_file": str(folder / _RESULT)})]


def _output_size(folder: Path) -> int:
    try:
        return output_path(folder).stat().st_size
    except OSError:
        return 0


def _judge(run: WatchRun, folder: Path, end: PlaybookEnd) -> PlaybookEnd:
    """Find out whether work failed because what it built or rolled out is not good."""
    if end.outcome is not RunOutcome.FAILED:
        return end
    reason = rejected_deployment(run.about, run.subject) if run.kind is WorkKind.DEPLOY else _rejected_tier(folder)
    return PlaybookEnd(RunOutcome.REJECTED, reason) if reason else end


def _rejected_tier(folder: Path) -> str:
    """Say which tier failed its tests; empty if none did. A role that fails may succeed at the next attempt."""
    with contextlib.suppress(OSError, ValueError):
        result = decode((folder / _RESULT).read_text(), RunResult)
        for tier in result.tiers:
            if tier.result == FAILED and any(test.result == FAILED for test in tier.tests):
                return tier.reason or f"tier {tier.tier!r} failed its tests"
    return ""
