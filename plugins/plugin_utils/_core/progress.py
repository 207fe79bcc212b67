# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this process is doing now. Long work describes itself here, and the command shows it.

Work may contain other work: an image has layers. Nothing is written here, so work costs nothing if nobody watches.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from .text import one_line, printable

ItemT = TypeVar("ItemT")
#: Limit for the characters of a name.
_LONGEST = 48


class Work:
    """A piece of work of several steps."""

    def __init__(self, doing: str, total: int) -> None:
        """Describe the work: ``reading layers``, and its number of steps; 0 if it is not known."""
        self._doing, self._total = doing, total
        self._begun, self._name = 0, ""

    def step(self, name: str = "") -> None:
        """Begin the next step. ``name`` can contain anything: it is escaped."""
        self._begun, self._name = self._begun + 1, one_line(printable(name), _LONGEST) if name else ""

    def __str__(self) -> str:
        """Return one line: ``reading images, 3 of 12: web``."""
        of = f" of {self._total}" if self._total else ""
        count = f", {self._begun}{of}" if self._begun and self._total != 1 else ""
        return f"{self._doing}{count}" + (f": {self._name}" if self._name else "")


_lock = threading.Lock()
_works: list[Work] = []


@contextmanager
def work(doing: str, total: int = 0) -> Iterator[Work]:
    """Describe work as long as the context lasts; see :class:`Work`."""
    new = Work(doing, total)
    with _lock:
        _works.append(new)
    try:
        yield new
    finally:
        with _lock:
            _works.remove(new)


def steps(items: Iterable[ItemT], doing: str, total: int = 0) -> Iterator[ItemT]:
    """Yield items, each of which is a step of some work. The work ends with the last item."""
    with work(doing, total) as current:
        for item in items:
            current.step()
            yield item


def current_work() -> str:
    """Return what the process is doing, the whole before its parts; empty if nothing describes itself."""
    with _lock:
        return "; ".join(map(str, _works))
