# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets tests end with the process that started them, also where that one was killed."""

from __future__ import annotations

import os
import signal
import threading
import time

_POLL_SECONDS = 1.0


def end_with(parent: int) -> None:
    """Interrupt this process, as Ctrl-C does, once it has another parent than ``parent``."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGINT)
