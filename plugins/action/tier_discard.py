# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_discard``."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.client import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.adapter import (
    tier_and_journal,
    told_to_users,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.cleanup import clear_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.hints import explained


class ActionModule(ActionBase):
    """Gives a failed tier up, and fails."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        name, journal = tier_and_journal(self._task.args, task_vars)
        task, message = str(self._task.args.get("task") or ""), str(self._task.args.get("message") or "failed")
        # Our own messages name the tier already; those of a role's task need to be told apart by the task.
        reason = message if message.startswith(f"tier {name!r}") else f"task {task!r}: {explained(message)}"
        journal.failed(name, reason)  # first of all: whoever waits must know, even where the engine is gone
        with told_to_users():
            clear_tier(connect(), journal, name)
        outcome = journal.outcome(name)  # a tier whose tests failed said so itself, in fewer words
        raise AnsibleActionFail(f"tier {name!r} is given up; {outcome.reason if outcome else reason}")
