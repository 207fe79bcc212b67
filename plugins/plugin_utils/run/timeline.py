# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When each task of a tier's build began, in the run's journal."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from ..chain.names import file_name
from ..image.tasks import Task, Timeline
from .journal import Journal


def note_begin(journal: Journal, tier: str, task: Task) -> None:
    """Record that a task of ``tier`` begins now."""
    line = json.dumps([time.time_ns(), *astuple(task)]) + "\n"
    with suppress(FileNotFoundError):  # a journal that is gone means that the run has ended
        descriptor = os.open(_record(journal, tier), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def timeline(journal: Journal, tier: str) -> Timeline:
    """Read what :func:`note_begin` recorded of ``tier`` in this run."""
    try:
        lines = _record(journal, tier).read_text().splitlines()
    except FileNotFoundError:
        return Timeline()
    told = [json.loads(line) for line in lines]
    return Timeline((moment, Task(role, name, file)) for moment, role, name, file in told)


def _record(journal: Journal, tier: str) -> Path:
    return journal.folder / f"{file_name(tier)}.tasks"
