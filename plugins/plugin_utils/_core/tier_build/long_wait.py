# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells people that something takes long. A play has no line that it could change, so there are few lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Seconds until the first line. The time until the next line doubles each time.
_FIRST = 10.0


@contextmanager
def long_wait(what: str, say: Callable[[str], None], first: float = _FIRST) -> Iterator[None]:
    """Say after ten seconds that something goes on, and then less and less often, as long as the context lasts.

    Args:
        what: What goes on: ``web: its tests run``.
        say: Called with lines for the user, in a different thread.
        first: Seconds until the first line.
    """
    began, ended = time.monotonic(), threading.Event()

    def run() -> None:
        seconds = first
        while not ended.wait(seconds):
            say(f"{what} since {time.monotonic() - began:.0f} s")
            seconds *= 2

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
