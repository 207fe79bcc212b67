# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measuring for the profile of a run: whether it is wanted, and what is noted while the run lasts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from .. import stopwatch
from ..run.result import noted_files
from ..state.journal import Journal

#: Key of the profile among the files of a run.
FILE = "profile"


class TaskTime(msgspec.Struct, frozen=True):
    """When a task ran for a host, in seconds since 1970."""

    host: str
    #: Its ID.
    task: str
    name: str
    role: str | None
    #: File and line, relative to the folder of the roles.
    file: str | None
    #: The full name of its action.
    action: str
    #: ``ok``, ``changed``, ``failed``, ``ignored``, ``skipped``, ``unreachable`` or ``unfinished``.
    result: str
    began: float
    ended: float


def start_measuring(journal: Journal, whose: Callable[[], tuple[str, str]]) -> bool:
    """Measure in this process and its forks if the run writes a profile. Return whether it does.

    Args:
        journal: The journal of the run.
        whose: Returns the host and the task that a process works for.
    """
    if FILE not in noted_files(journal):
        return False
    stopwatch.begin(events_file(journal), whose)
    return True


def events_file(journal: Journal) -> Path:
    """Return the file to which the processes of a run write what they measure."""
    return journal.folder / "profile.events"
