# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Notes in Ansible's main process when each task begins and ends, for the profile of the run."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from ..profile.measuring import TaskTime
from .task_observer import describe_task

_UNFINISHED = "unfinished"


class TaskTimes:
    """The times of the tasks of one run."""

    def __init__(self) -> None:
        """Begin: the run begins now."""
        #: When the run began, in seconds since 1970.
        self.began = time.time()
        self._tasks: dict[tuple[str, str], TaskTime] = {}

    def note_start(self, host: str, task: Any) -> None:
        """Note that a task begins for a host."""
        described, key = describe_task(task), (host, str(task._uuid))  # noqa: SLF001 - there is no public name
        action = str(getattr(task, "resolved_action", None) or task.action)
        now = time.time()
        self._tasks[key] = TaskTime(
            *key, described.name, described.role, described.file, action, _UNFINISHED, began=now, ended=now
        )

    def note_end(self, host: str, task: Any, result: str) -> None:
        """Note that a task has ended for a host, and how."""
        key = (host, str(task._uuid))  # noqa: SLF001 - there is no public name
        if key in self._tasks:
            self._tasks[key] = msgspec.structs.replace(self._tasks[key], result=result, ended=time.time())

    def tasks(self) -> list[TaskTime]:
        """Return the tasks so far. Those that still run end now."""
        now = time.time()
        return [
            msgspec.structs.replace(task, ended=now) if task.result == _UNFINISHED else task
            for task in self._tasks.values()
        ]
