# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# ruff: noqa: SLF001 - Ansible has no public names for this
"""Lets the main process sleep until a task ends.

Ansible's strategies look every millisecond whether a result has arrived, and each time ask for the next task of every
host. Here the strategy waits for the event that a result arrives, whenever it has nothing else to do. So a result is
processed no later than before, and the processor is free for builds.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

#: The first and the shortest wait in seconds. It doubles while nothing happens, because a few decisions depend on more
#: than results: ``throttle`` waits until the process of a task has ended, shortly after its result has arrived.
_SHORTEST = 0.001


class _ArrivingResults(deque[Any]):
    """The results of a strategy, with an event for each new one."""

    def __init__(self, results: deque[Any], arrived: threading.Event) -> None:
        super().__init__(results)
        self._arrived = arrived

    def append(self, result: Any) -> None:
        super().append(result)
        self._arrived.set()


class ResultWait:
    """Waits for results of one play's tasks."""

    def __init__(self, strategy: Any) -> None:
        """Watch the results of a strategy."""
        self._strategy = strategy
        self._arrived = threading.Event()
        self._busy, self._seconds = True, _SHORTEST
        with strategy._results_lock:  # its other thread may add one now
            strategy._results = _ArrivingResults(strategy._results, self._arrived)

    def note_work(self) -> None:
        """Note that the strategy has done something: it must look again at all hosts before it may wait."""
        self._busy = True

    def wait(self, deadline: float) -> None:
        """Wait until a result arrives, if the strategy has nothing else to do.

        Args:
            deadline: The latest end, as a value of ``time.monotonic()``.
        """
        strategy = self._strategy
        if self._busy or strategy._results or strategy._pending_results <= 0:
            self._busy, self._seconds = False, _SHORTEST
            return
        self._arrived.clear()
        if not strategy._results:
            self._arrived.wait(max(0.0, min(self._seconds, deadline - time.monotonic())))
        self._seconds *= 2
