# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# ruff: noqa: SLF001 - Ansible gives none of this other names
"""Tasks that run, that fail in place of others, that no build can contain.

A task that was started and has no result yet, and why none will come.

Tasks that fail in the place of others, so that a ``rescue`` finds the reason where it finds that of any task.

They inherit nothing, as ``ignore_errors`` or ``when``, from where those others stand.

Tasks that no build can contain: they reach other tiers of the play, or wait for somebody at a terminal.

Under ``host_pinned`` Ansible ends the whole run for some of them, and lets others end the builds of other tiers. Such a
task becomes one that fails, so only the tiers whose role contains it fail, and the message says why.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import Any

from ansible import constants
from ansible.playbook.block import Block
from ansible.playbook.helpers import load_list_of_blocks
from ansible.playbook.task import Task
from ansible.plugins.loader import action_loader


@dataclass(slots=True)
class Running:
    """A task that was started, and has no result yet."""

    #: What Ansible's process was started as, which outlives the object that Ansible closes; ``None`` if it was not.
    worker: Any
    #: How it ended; ``None`` while it runs.
    status: int | None = None
    #: How often it was looked for since it had ended.
    looks: int = 0

    def has_ended(self) -> bool:
        """Say whether no result can come any more but one that is on its way."""
        if self.worker is None:
            return True
        self.status = self.worker.poll()
        return self.status is not None

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended it."""
        return self.status is not None and self.status < 0

    def __str__(self) -> str:
        if self.worker is None:
            return "no process could be started for this task: the machine or the user has no room for another one"
        if self.status is not None and self.status < 0:
            name = signal.Signals(-self.status).name
            return f"the process that ran this task was killed ({name}): by somebody, or because memory ran out"
        return f"the process that ran this task ended without a result (status {self.status})"


def failing_task(instead_of: Any, why: str, play: Any) -> Any:
    """A task that fails with the message ``why``, and that Ansible takes for another one."""
    said = _said(str(instead_of.name or instead_of.action), why)
    task = Task.load(said, block=Block(play=play), role=instead_of._role, loader=play._loader)
    task._uuid, task._origin = instead_of._uuid, instead_of._origin
    return task


def failing_blocks(included_file: Any, why: str, play: Any) -> Any:
    """Blocks to include where a file or a role cannot be."""
    include = included_file._task
    said = _said(str(include.name or included_file._filename), why)
    blocks = load_list_of_blocks(
        [said], play=play, role=include._role, variable_manager=play._variable_manager, loader=play._loader
    )
    for task in (task for block in blocks for task in block.block):
        task._origin = include._origin
    return blocks


def _said(name: str, why: str) -> dict[str, Any]:
    return {"name": name, "ansible.builtin.fail": {"msg": why}, "tags": ["always"]}


_FAIL = "ansible.builtin.fail"

#: Meta actions that are about one host, or that Ansible adds itself.
_SUITED = frozenset({"clear_facts", "end_role", "flush_handlers", "noop", "reset_connection", "role_complete"})

_UNSUITED = {
    "end_host": "ends the play for its host, so the tier would not be sealed; use meta: end_role, or a condition",
    "end_batch": "ends the play for all hosts, so other tiers would not be sealed; use meta: end_role, or a condition",
    "end_play": "ends the play for all hosts, so other tiers would not be sealed; use meta: end_role, or a condition",
    "clear_host_errors": "makes Ansible forget that other tiers failed; use ignore_errors, or rescue",
    "refresh_inventory": "reads the inventory of all tiers again while they are built; remove it",
}

_PAUSE = (
    "waits for somebody at a terminal, and a build has none; remove it, or wait some seconds with "
    "ansible.builtin.wait_for and its timeout"
)
_ALL_HOSTS = (
    "acts once for all hosts of a play, but each tier is built by itself; remove it, or guard it with a condition"
)


def suit(task: Any) -> None:
    """Let a role's task fit a build, in place: one that cannot be a part of it becomes a task that fails.

    Args:
        task: A task that comes next for some tier.
    """
    task.throttle = 0  # tiers are independent; a throttled task would change the order that waiting relies on
    if not sys.stdin.isatty():
        task.debugger = "never"  # it would read its commands from there, and end the whole run
    why = refusal(task)
    if why:
        task.name = task.name or str(task.action)
        path, _, line = str(task.get_path() or "").rpartition(":")
        task.action, task.args = _FAIL, {"msg": f"{why} ({path}, line {line})" if path else why}
        task._resolved_action = _FAIL
        task.loop = task.loop_with = task.register = None


def refusal(task: Any) -> str:
    """Say why a task cannot be a part of a build; empty if it can."""
    if task.action in constants._ACTION_META:
        name = str(task.args.get("_raw_params"))
        unknown = "is no meta action that a build knows; remove it"
        return "" if name in _SUITED else f"meta: {name} {_UNSUITED.get(name, unknown)}"
    if not getattr(_plugin_of(task), "BYPASS_HOST_LOOP", False):
        return ""
    pauses = str(task.action).rpartition(".")[2] == "pause"
    return f"{task.action} {_PAUSE if pauses else _ALL_HOSTS}"


def _plugin_of(task: Any) -> Any:
    try:
        return action_loader.get(task.action, class_only=True, collection_list=task.collections)
    except KeyError:  # as Ansible's strategies do: an action need not have a plugin
        return None
