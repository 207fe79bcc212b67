# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# ruff: noqa: SLF001 - Ansible has no public names for this
"""Skips the tasks of a resumed build that have changed its container already.

``--start-at-task`` skips everything before a task: then handlers are not notified, facts are not set, and no registered
variable exists. Here, only tasks that changed something are not repeated. All others run again, because they changed
nothing: they set facts, read files, include other tasks, or check something. A task that is not repeated still reports
a change. Therefore it notifies its handlers, and ``when: result is changed`` is right. The other values of its
registered variable are not known any more.

The tasks of the failed build are known by role, file and name, in their order. Lines do not count, because they move
when the role is repaired. A task that is not known is new, and runs.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any

from ansible import constants
from ansible.playbook.block import Block
from ansible.playbook.handler import Handler
from ansible.playbook.task import Task
from ansible.playbook.task_include import TaskInclude

from ..layer import build_memory
from ..state.kept_builds import PastTask

_Key = tuple[str | None, str, str | None]

#: Actions that add hosts or variables to the play. They may report a change, but change nothing in a container.
_OF_THE_PLAY = frozenset({"add_host", "group_by", "include_vars", "set_fact", "set_stats"})


class Resumption:
    """The tasks of a failed build that a run must not repeat, in the order in which they come again."""

    def __init__(self, run: str, tasks: Iterable[PastTask]) -> None:
        """Take the tasks of the failed build, up to the task with which the build goes on.

        Args:
            run: The run that failed.
            tasks: Its tasks.
        """
        self._run = run
        self._statuses: dict[_Key, deque[str]] = defaultdict(deque)
        for past in tasks:
            self._statuses[past.role, past.name, past.file].append(past.status)

    def substitute(self, task: Any, described: build_memory.Task, play: Any) -> Any:
        """Return the task to run: ``task`` itself, or one that only reports the change that ``task`` made before.

        Args:
            task: The next task of the tier.
            described: Its description.
            play: Its play.
        """
        file = described.file.rpartition(":")[0] if described.file else None
        statuses = self._statuses.get((described.role, described.name, file))
        if not statuses:
            return task
        status = statuses.popleft()
        if status != "changed" or isinstance(task, TaskInclude) or _acts_on_play(task):
            return task
        return _changed_task(task, self._run, play)


def _acts_on_play(task: Any) -> bool:
    return task.action in constants._ACTION_ALL_INCLUDES or str(task.action).rpartition(".")[2] in _OF_THE_PLAY


def _changed_task(instead_of: Any, run: str, play: Any) -> Any:
    """Make a task that changes nothing, reports a change, and that Ansible treats as the task ``instead_of``."""
    data = {
        "name": str(instead_of.name or instead_of.action),
        "ansible.builtin.debug": {"msg": f"not repeated: run {run} has made this change"},
        "changed_when": True,
        "tags": ["always"],
    }
    kind = Handler if isinstance(instead_of, Handler) else Task
    task = kind.load(data, block=Block(play=play), role=instead_of._role, loader=play._loader)
    task.notify, task.register = instead_of.notify, instead_of.register
    task._uuid, task._origin = instead_of._uuid, instead_of._origin
    return task
