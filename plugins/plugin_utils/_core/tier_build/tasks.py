# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records when each task of a tier's build began, and waits for asynchronous tasks.

If an asynchronous task still runs while the layer is read, the layer contains only a part of its changes. Ansible runs
such a task under ``async_wrapper``, with two processes. When the task has ended, one of them stays for some seconds.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec.structs import astuple

from ..chain.names import file_name
from ..engine.engine import Engine
from ..errors import SealError
from ..layer.build_memory import Task, Timeline
from ..state.journal import Journal


def note_task_start(journal: Journal, tier: str, task: Task) -> None:
    """Record that a task of ``tier`` begins now."""
    line = json.dumps([time.time_ns(), *astuple(task)]) + "\n"
    with suppress(FileNotFoundError):  # the run has ended, and its journal was removed
        descriptor = os.open(_tasks_file(journal, tier), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def timeline(journal: Journal, tier: str) -> Timeline:
    """Read what :func:`note_task_start` recorded for ``tier`` in this run."""
    try:
        lines = _tasks_file(journal, tier).read_text().splitlines()
    except FileNotFoundError:
        return Timeline()
    entries = [json.loads(line) for line in lines]
    return Timeline((moment, Task(role, name, file)) for moment, role, name, file in entries)


def _tasks_file(journal: Journal, tier: str) -> Path:
    return journal.folder / f"{file_name(tier)}.tasks"


_KIND = "asynchronous"

#: Seconds that an asynchronous task may still take after its role was applied.
ASYNC_TIMEOUT = 10.0
_LOOK_SECONDS = 0.5

_WRAPPER = re.compile(r"async_wrapper(?:\.py)? (j\d+) \d+ \S*?/?(?:AnsiballZ_)?(\w+)(?:\.py)?(?: |$)")
_PROCESSES = 2


class AsynchronousTasks(msgspec.Struct, frozen=True):
    """Tasks of a tier that may continue while the next tasks run."""

    #: Their names, sorted.
    tasks: list[str]


def note_asynchronous(journal: Journal, tier: str, task: str) -> None:
    """Record that a task of ``tier`` may continue while the next tasks run."""
    noted = journal.read_record(_KIND, tier, AsynchronousTasks) or AsynchronousTasks([])
    journal.write(_KIND, tier, AsynchronousTasks(sorted({*noted.tasks, task})))


def wait_for_jobs(engine: Engine, journal: Journal, tier: str, container: str, say: Callable[[str], None]) -> None:
    """Wait until the asynchronous tasks of a tier have ended, at most :data:`ASYNC_TIMEOUT` seconds.

    Args:
        engine: The engine.
        journal: The journal of the run.
        tier: Name of the tier.
        container: ID of its build container.
        say: Called with a line if a task must be waited for.

    Raises:
        SealError: A task still runs after the timeout.
        EngineError: The engine does not answer.
    """
    noted = journal.read_record(_KIND, tier, AsynchronousTasks)
    if noted is None:
        return
    deadline, announced = time.monotonic() + ASYNC_TIMEOUT, False
    while modules := unfinished(engine.containers.commands(container)):
        tasks = f"{', '.join(noted.tasks)} (module {', '.join(modules)})"
        if time.monotonic() > deadline:
            raise SealError(
                f"tier {tier!r}: an asynchronous task has not finished {ASYNC_TIMEOUT:.0f} s after its role was "
                f"applied: {tasks}. The layer would contain only a part of its changes. Add a later task to the role "
                "that waits for it (ansible.builtin.async_status with until), or give the task a poll above 0"
            )
        if not announced:
            say(f"waiting up to {ASYNC_TIMEOUT:.0f} s for {tasks}")
            announced = True
        time.sleep(_LOOK_SECONDS)


def is_asynchronous(command: str) -> bool:
    """Check whether a command line belongs to the wrapper of an asynchronous task."""
    return _WRAPPER.search(command) is not None


def unfinished(processes: Iterable[str]) -> list[str]:
    """Return the modules of the asynchronous tasks that still run, sorted.

    Args:
        processes: The command line of each process in the container.
    """
    wrappers = Counter(match.groups() for line in processes if (match := _WRAPPER.search(line)))
    return sorted(module for (_job, module), count in wrappers.items() if count >= _PROCESSES)
