# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When each task began, and asynchronous tasks that go on.

When each task of a tier's build began, in the run's journal.

Asynchronous tasks that nobody waited for: a layer that is read while they write holds a part of what they do.

Ansible runs such a task under ``async_wrapper``, as two processes while the task goes on; one of them is left for some
seconds when it has ended.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from ..chain.names import file_name
from ..engine.engine import Engine
from ..errors import SealError
from ..layer.build_memory import Task, Timeline
from ..state.journal import Journal


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


_KIND = "asynchronous"

#: Seconds that a task may still take when its role has been applied.
PATIENCE = 10.0
_LOOK_SECONDS = 0.5

_WRAPPER = re.compile(r"async_wrapper(?:\.py)? (j\d+) \d+ \S*?/?(?:AnsiballZ_)?(\w+)(?:\.py)?(?: |$)")
_PROCESSES = 2


def note_asynchronous(journal: Journal, tier: str, task: str) -> None:
    """Record that a task of ``tier`` goes on beside the next ones."""
    known = journal.read(_KIND, tier) or {"tasks": []}
    journal.write(_KIND, tier, {"tasks": sorted({*known["tasks"], task})})


def wait_for_jobs(engine: Engine, journal: Journal, tier: str, container: str, say: Callable[[str], None]) -> None:
    """Wait until the asynchronous tasks of a tier have ended, for a while.

    Args:
        engine: The engine.
        journal: The run.
        tier: The tier.
        container: ID of its build container.
        say: Called with a line where it has to be waited for one.

    Raises:
        SealError: One goes on.
        EngineError: The engine does not answer.
    """
    noted = journal.read(_KIND, tier)
    if noted is None:
        return
    until, said = time.monotonic() + PATIENCE, False
    while going_on := unfinished(engine.containers.commands(container)):
        what = f"{', '.join(noted['tasks'])} (module {', '.join(going_on)})"
        if time.monotonic() > until:
            raise SealError(
                f"tier {tier!r}: an asynchronous task has not finished {PATIENCE:.0f} s after its role was applied: "
                f"{what}. A layer would hold a part of what it does: let a later task of the role wait for it "
                "(ansible.builtin.async_status with until), or give it a poll above 0"
            )
        if not said:
            say(f"waiting up to {PATIENCE:.0f} s for {what}")
            said = True
        time.sleep(_LOOK_SECONDS)


def unfinished(processes: Iterable[str]) -> list[str]:
    """Name the modules of the tasks that go on.

    Args:
        processes: A line for each process, with its command line.
    """
    found = Counter(match.groups() for line in processes if (match := _WRAPPER.search(line)))
    return sorted(module for (_job, module), count in found.items() if count >= _PROCESSES)
