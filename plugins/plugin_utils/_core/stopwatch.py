# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures the steps of a run for its profile. It does nothing unless :func:`begin` was called in this process.

Ansible's main process begins, and its workers are forks of it. Each step is one line of a file that all processes
append to. A line is written in one call, so lines are never mixed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from .records import decode, encode

ItemT = TypeVar("ItemT")


class Span(msgspec.Struct, frozen=True):
    """A step that took time. Its moments are seconds since 1970."""

    #: What was done, for example ``read``.
    step: str
    #: The host for which it was done; empty if it is not known.
    host: str
    #: ID of Ansible's task; empty if it is not known.
    task: str
    began: float
    ended: float
    #: Seconds of work. A step that alternates with other steps works less than it takes.
    seconds: float


class _Recording(msgspec.Struct):
    file: Path | None = None
    whose: Callable[[], tuple[str, str]] = lambda: ("", "")


_recording = _Recording()


def begin(file: Path, whose: Callable[[], tuple[str, str]]) -> None:
    """Measure from now on, in this process and its forks.

    Args:
        file: The file for the lines. Its folder is private.
        whose: Returns the host and the task that this process works for; empty texts if there are none.
    """
    _recording.file, _recording.whose = file, whose


def stop() -> None:
    """Stop measuring in this process."""
    _recording.file = None


def is_running() -> bool:
    """Say whether this process measures."""
    return _recording.file is not None


def note(step: str, began: float, ended: float, seconds: float | None = None, host: str = "", task: str = "") -> None:
    """Record a step.

    Args:
        step: What was done.
        began: When, in seconds since 1970.
        ended: When, in seconds since 1970.
        seconds: Seconds of work; ``None`` for the whole time.
        host: The host; empty for the one of this process.
        task: ID of the task; empty for the one of this process, unless ``host`` is given.
    """
    if _recording.file is None:
        return
    if not host:
        host, task = _recording.whose()
    line = encode(Span(step, host, task, began, ended, ended - began if seconds is None else seconds)) + "\n"
    with suppress(OSError):  # a profile must not end a build; a journal that is gone means that the run has ended
        descriptor = os.open(_recording.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


@contextmanager
def measured(step: str) -> Iterator[None]:
    """Record the time of the ``with`` block."""
    if _recording.file is None:
        yield
        return
    began = time.time()
    try:
        yield
    finally:
        note(step, began, time.time())


def producing(step: str, items: Iterable[ItemT]) -> Iterator[ItemT]:
    """Yield items, and record the time that it took to produce them."""
    began, seconds = time.time(), 0.0
    iterator = iter(items)
    while True:
        before = time.perf_counter()
        item = next(iterator, None)
        seconds += time.perf_counter() - before
        if item is None:
            break
        yield item
    note(step, began, time.time(), seconds)


def consuming(step: str, items: Iterable[ItemT]) -> Iterator[ItemT]:
    """Yield items, and record the time that the consumer took for them."""
    began, seconds = time.time(), 0.0
    for item in items:
        before = time.perf_counter()
        yield item
        seconds += time.perf_counter() - before
    note(step, began, time.time(), seconds)


class Total:
    """The total time of a block that is entered many times."""

    def __init__(self, step: str) -> None:
        """Take the name of the step."""
        self._step, self._began, self._seconds, self._entered = step, time.time(), 0.0, 0.0

    def __enter__(self) -> None:
        self._entered = time.perf_counter()

    def __exit__(self, *_error: object) -> None:
        self._seconds += time.perf_counter() - self._entered

    def record(self) -> None:
        """Record the total."""
        note(self._step, self._began, time.time(), self._seconds)


def read(file: Path) -> list[Span]:
    """Return what was recorded in a file, in order. Lines that are incomplete, after a full disk, are ignored."""
    spans = []
    with suppress(FileNotFoundError):
        for line in file.read_text().splitlines():
            with suppress(ValueError):
                spans.append(decode(line, Span))
    return spans
