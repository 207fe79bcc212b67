# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows on a terminal what a verb is doing, if it takes more than two seconds.

It is one line on standard error that changes at most once a second, and is removed as soon as something else is
printed. Nothing is written if standard error is not a terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from ..progress import current_work
from ..text import one_line, printable_lines

#: Seconds until the first line, and between two lines.
_QUIET, _INTERVAL = 2.0, 1.0
#: Moves to the beginning of the line, and clears it.
_CLEAR = "\r\x1b[K"
#: A terminal that does not understand this.
_DUMB = "dumb"


class ProgressLine:
    """The line. Other output must be printed while it is not there; see :meth:`paused`."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the terminal, and a clock in seconds."""
        self._stream, self._clock = stream, clock
        self._began, self._shown = clock(), ""
        self._lock = threading.RLock()

    def refresh(self) -> None:
        """Show what is being done, or remove the line if nothing is."""
        with self._lock:
            seconds = self._clock() - self._began
            doing = current_work()
            if not doing:
                self._began = self._clock()
            width = shutil.get_terminal_size().columns - 1
            line = one_line(f"{doing} ({seconds:.0f} s)", max(width, 1)) if doing and seconds >= _QUIET else ""
            if line != self._shown:
                self._write(_CLEAR + line)
                self._shown = line

    def clear(self) -> None:
        """Remove the line."""
        with self._lock:
            if self._shown:
                self._write(_CLEAR)
                self._shown = ""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Remove the line. It does not come back before the context ends."""
        with self._lock:
            self.clear()
            yield

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone, or the stream is closed
            self._shown = ""


_line: ProgressLine | None = None


@contextmanager
def progress_line() -> Iterator[None]:
    """Show progress as long as the context lasts, if standard error is a terminal."""
    global _line  # noqa: PLW0603 - a process has one terminal
    if _line is not None or not sys.stderr.isatty() or os.environ.get("TERM", _DUMB) == _DUMB:
        yield
        return
    line, ended = ProgressLine(sys.stderr), threading.Event()

    def run() -> None:
        while not ended.wait(_INTERVAL):
            line.refresh()

    thread = threading.Thread(target=run, daemon=True)
    _line = line
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        line.clear()
        _line = None


@contextmanager
def no_progress() -> Iterator[None]:
    """Print something while the line is not there."""
    if _line is None:
        yield
        return
    with _line.paused():
        yield


def say(line: str) -> None:
    """Print a line, or several, on standard error."""
    with no_progress():
        click.echo(printable_lines(line), err=True)
