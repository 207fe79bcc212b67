# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# ruff: noqa: SLF001 - Ansible has no public names for this
"""The tasks that the supervisor handles: running tasks, failing substitutes, and tasks that a build cannot contain.

- A running task is watched until its result arrives or its process ends.
- A failing task replaces a task that cannot have a result. A ``rescue`` finds the reason there, as with any other task.
  The failing task inherits no ``ignore_errors`` or ``when`` from the task that it replaces.
- A build cannot contain a task that acts on other tiers, or that waits for somebody at a terminal. With
  ``host_pinned``, such a task could end the builds of other tiers, or the whole run. It is replaced by a failing task.
  Then only the tiers whose role contains it fail, and the message gives the reason.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

import msgspec
from ansible import constants
from ansible.playbook.block import Block
from ansible.playbook.helpers import load_list_of_blocks
from ansible.playbook.task import Task
from ansible.plugins.loader import action_loader


class RunningTask(msgspec.Struct):
    """A task that was started, and has no result yet."""

    #: The process handle (``Popen``) of Ansible's worker. It stays valid after Ansible closes the worker object.
    #: ``None`` if no process could be started.
    worker: Any
    #: Exit status of the worker; ``None`` while it runs.
    status: int | None = None
    #: Number of checks for a result since the worker ended.
    checks: int = 0

    def has_ended(self) -> bool:
        """Check whether the worker has ended. Its result may still be on its way."""
        if self.worker is None:
            return True
        self.status = self.worker.poll()
        return self.status is not None

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended the worker."""
        return self.status is not None and self.status < 0

    def __str__(self) -> str:
        if self.worker is None:
            return "no process could be started for this task: the machine or the user has reached its limit"
        if self.status is not None and self.status < 0:
            name = signal.Signals(-self.status).name
            return f"the process that ran this task was killed ({name}), by a user or because memory ran out"
        return f"the process that ran this task ended without a result (status {self.status})"


def failing_task(instead_of: Any, why: str, play: Any) -> Any:
    """A task that fails with the message ``why``, and that Ansible treats as the task ``instead_of``."""
    data = _fail_task_data(str(instead_of.name or instead_of.action), why)
    task = Task.load(data, block=Block(play=play), role=instead_of._role, loader=play._loader)
    task._uuid, task._origin = instead_of._uuid, instead_of._origin
    return task


def failing_blocks(included_file: Any, why: str, play: Any) -> Any:
    """Blocks with a failing task, to include instead of a file or a role that cannot be included."""
    include = included_file._task
    data = _fail_task_data(str(include.name or included_file._filename), why)
    blocks = load_list_of_blocks(
        [data], play=play, role=include._role, variable_manager=play._variable_manager, loader=play._loader
    )
    for task in (task for block in blocks for task in block.block):
        task._origin = include._origin
    return blocks


def _fail_task_data(name: str, why: str) -> dict[str, Any]:
    return {"name": name, "ansible.builtin.fail": {"msg": why}, "tags": ["always"]}


_FAIL_ACTION = "ansible.builtin.fail"

#: Meta actions that affect one host, or that Ansible adds itself.
_ALLOWED_META = frozenset({"clear_facts", "end_role", "flush_handlers", "noop", "reset_connection", "role_complete"})

_REJECTED_META = {
    "end_host": "ends the play for its host, so the tier would not be sealed; use meta: end_role, or a condition",
    "end_batch": "ends the play for all hosts, so other tiers would not be sealed; use meta: end_role, or a condition",
    "end_play": "ends the play for all hosts, so other tiers would not be sealed; use meta: end_role, or a condition",
    "clear_host_errors": "makes Ansible forget that other tiers failed; use ignore_errors, or rescue",
    "refresh_inventory": "reads the inventory of all tiers again while they are built; remove it",
}

_PAUSE = (
    "waits for somebody at a terminal, but a build has no terminal; remove it, or wait some seconds with "
    "ansible.builtin.wait_for and its timeout"
)
_ALL_HOSTS = (
    "acts once for all hosts of a play, but each tier is built separately; remove it, or skip it with a condition"
)


def replace_unsuitable(task: Any) -> None:
    """Change a role's task in place so that it cannot disturb the builds of other tiers.

    A task that a build cannot contain becomes a task that fails.

    Args:
        task: The next task of a tier.
    """
    task.throttle = 0  # tiers are independent, and tiers that wait for their parent rely on the order of tasks
    if not sys.stdin.isatty():
        task.debugger = "never"  # the debugger would read commands from standard input, and end the whole run
    why = unsuitable_reason(task)
    if why:
        task.name = task.name or str(task.action)
        path, _, line = str(task.get_path() or "").rpartition(":")
        task.action, task.args = _FAIL_ACTION, {"msg": f"{why} ({path}, line {line})" if path else why}
        task._resolved_action = _FAIL_ACTION
        task.loop = task.loop_with = task.register = None


def unsuitable_reason(task: Any) -> str:
    """The reason why a build cannot contain a task; empty if it can."""
    if task.action in constants._ACTION_META:
        name = str(task.args.get("_raw_params"))
        unknown = "is not a meta action that a build supports; remove it"
        return "" if name in _ALLOWED_META else f"meta: {name} {_REJECTED_META.get(name, unknown)}"
    if not getattr(_plugin_of(task), "BYPASS_HOST_LOOP", False):
        return ""
    pauses = str(task.action).rpartition(".")[2] == "pause"
    return f"{task.action} {_PAUSE if pauses else _ALL_HOSTS}"


def _plugin_of(task: Any) -> Any:
    try:
        return action_loader.get(task.action, class_only=True, collection_list=task.collections)
    except KeyError:  # as in Ansible's strategies: not every action has a plugin
        return None
