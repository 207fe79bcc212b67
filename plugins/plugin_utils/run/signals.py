# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SIGTERM (a cancelled CI job) and SIGHUP (a closed terminal) end a run as Ctrl-C does: it is cleared away.

Ansible dies of them at once, and its workers, which are sessions of their own, live on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """What ends the process that made this."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        #: The signal that ended it.
        self.ended_by: signal.Signals | None = None
        #: ``nohup`` ignores SIGHUP.
        self._signals = [each for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN]

    def take(self) -> None:
        """Handle the signals from now on; ansible-core 2.19.0 handles them itself again with each worker it starts."""
        if self.ended_by is None and self._owner == os.getpid():
            for each in self._signals:
                if signal.getsignal(each) != self._end:
                    signal.signal(each, self._end)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a worker that has not got handlers of its own yet
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.ended_by = signal.Signals(number)
        for each in self._signals:  # whoever sends more of them has to wait, but for a second Ctrl-C
            signal.signal(each, signal.default_int_handler if each is signal.SIGINT else signal.SIG_IGN)
        told = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        for child in multiprocessing.active_children():
            with contextlib.suppress(OSError):
                os.kill(child.pid or 0, told) if child.pid else None
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)
