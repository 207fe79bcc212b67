# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for many file descriptors at once."""

from __future__ import annotations

import heapq
import itertools
import selectors
import time
from typing import Callable

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

Call = Callable[[], None]


class Loop:
    """Calls back when a file descriptor is ready or a moment has come."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Call]] = []
        self._order = itertools.count()
        self._running = True

    def watch(self, fd: int, event: int, call: Call) -> None:
        """Call ``call`` whenever ``fd`` is ready for ``event`` (``READ`` or ``WRITE``)."""
        if fd not in self._selector.get_map():
            self._selector.register(fd, event, call)

    def forget(self, fd: int) -> None:
        """Watch ``fd`` no more; it may not be watched at all."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def later(self, seconds: float, call: Call) -> None:
        """Call ``call`` once, after ``seconds``."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), call))

    def stop(self) -> None:
        """Let :meth:`run` return."""
        self._running = False

    def run(self) -> None:
        """Go on until :meth:`stop`."""
        while self._running:
            wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            for key, _events in self._selector.select(wait):
                # An earlier call of this round may have closed this one's descriptor, and opened another of its number.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            while self._timers and self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2]()
