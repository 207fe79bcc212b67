# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The work that goes on: one run at a time for each chain, and one for each site, each in a thread of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from msgspec.structs import replace

from ..errors import TierwrightError, describe_error
from .health import RECORDS, Health
from .run_records import RunOutcome, WatchRun, read_runs, remove_old_runs
from .settings import WatchSettings
from .survey import WorkKind
from .work import WorkDecision
from .work_run import Watched

#: Seconds before work that could not be recorded is decided again.
_RETRY_SECONDS = 10.0

#: Does work; see :func:`.work_run.do_work`.
Do = Callable[[WorkDecision, Watched, float, threading.Event, Callable[[WatchRun], None]], WatchRun]


class Lanes:
    """The runs of a watcher that go on."""

    def __init__(
        self, watched: Watched, do: Do, stop: threading.Event, health: Health, say: Callable[[str], None]
    ) -> None:
        """Begin without any run.

        Args:
            watched: What is watched.
            do: Does work.
            stop: Ends all runs when it is set.
            health: Notes runs.
            say: Prints a line. Several threads call it.
        """
        self._watched, self._do, self._stop, self._health, self._say = watched, do, stop, health, say
        self._threads: dict[tuple[str, str], threading.Thread] = {}
        self._going_on: set[str] = set()
        #: Whether a run did not succeed.
        self.has_failed = False

    def is_free(self, decision: WorkDecision) -> bool:
        """Say whether no run works on the same chain or site."""
        thread = self._threads.get(_lane(decision))
        return thread is None or not thread.is_alive()

    def start(self, decision: WorkDecision, settings: WatchSettings, ended: Callable[[str], None]) -> None:
        """Start work that is free.

        Args:
            decision: The decision.
            settings: The settings of the watcher.
            ended: Called with a line when the work has ended.
        """
        thread = threading.Thread(target=self._work, args=(decision, settings, ended), daemon=True)
        self._threads[_lane(decision)] = thread
        thread.start()

    def join(self) -> None:
        """Wait until all runs have ended. Signals are handled meanwhile."""
        for thread in self._threads.values():
            while thread.is_alive():
                thread.join(0.2)

    def runs(self) -> list[WatchRun]:
        """Return the records of all runs. An open one of this watcher that does not go on could not be ended."""
        return [
            replace(run, outcome=RunOutcome.INTERRUPTED, reason="its end could not be recorded")
            if run.outcome is None and run.holder.pid == os.getpid() and run.id not in self._going_on
            else run
            for run in read_runs()
        ]

    def _work(self, decision: WorkDecision, settings: WatchSettings, ended: Callable[[str], None]) -> None:
        need = decision.need
        try:
            run = self._do(decision, self._watched, settings.time_limit, self._stop, self._began)
        except (TierwrightError, OSError) as error:
            self._say(f"{need.kind.value} {need.about} cannot be recorded: {describe_error(error)}")
            self._health.failed(RECORDS, str(error))
            self.has_failed = True
            self._going_on -= {run.id for run in read_runs() if (run.kind, run.about) == (need.kind, need.about)}
            self._stop.wait(_RETRY_SECONDS)
        else:
            self._ended(run)
            remove_old_runs(list(self._watched.inventories), settings.keep)
        ended(f"a run of {need.kind.value} {need.about} ended")

    def _began(self, run: WatchRun) -> None:
        self._going_on.add(run.id)
        self._health.began(run)
        self._say(f"{run.kind.value} {run.about} begins as run {run.id}: {'; '.join(run.reasons)}")

    def _ended(self, run: WatchRun) -> None:
        self._going_on.discard(run.id)
        self._health.ended(run)
        if run.outcome is not RunOutcome.SUCCEEDED:
            self.has_failed = True
        verb = run.outcome.verb if run.outcome else "ended"
        self._say(f"run {run.id} {verb} after {run.seconds or 0:.0f} s" + (f": {run.reason}" if run.reason else ""))


def _lane(decision: WorkDecision) -> tuple[str, str]:
    """Return what only one run at a time may work on."""
    return ("site" if decision.need.kind is WorkKind.DEPLOY else "chain", decision.need.about)
