# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tasks that no build can contain: they reach other tiers of the play, or wait for somebody at a terminal.

Under ``host_pinned`` Ansible ends the whole run for some of them, and lets others end the builds of other tiers. Such a
task becomes one that fails, so only the tiers whose role contains it fail, and the message says why.
"""

from __future__ import annotations

import sys
from typing import Any

from ansible import constants
from ansible.plugins.loader import action_loader

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
        task._resolved_action = _FAIL  # noqa: SLF001 - ansible-core 2.19 has no other name for it
        task.loop = task.loop_with = task.register = None


def refusal(task: Any) -> str:
    """Say why a task cannot be a part of a build; empty if it can."""
    if task.action in constants._ACTION_META:  # noqa: SLF001 - Ansible's own plugins have no other name for it
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
