# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_discard``."""

from __future__ import annotations

from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.tried_record import is_trial
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import TierAction
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.cleanup import clear_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.failure import (
    TaskFailure,
    give_up,
    last_failed_task,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.keeping import keep


class ActionModule(TierAction):
    """Gives up a failed tier, and fails."""

    def work(self, name: str, journal: Journal, variables: dict[str, Any]) -> dict[str, Any]:
        give_up(journal, name, self._read_failure(journal, name))  # first, for waiting tiers: the engine may not answer
        engine = connect()
        if keep(engine, journal, name) is None:
            clear_tier(engine, journal, name)
        # Ansible has printed the failure, and the end of the run explains it. Do not repeat it here.
        # In a trial, the failure is an answer, and the host is still needed: Ansible stops if all hosts have failed.
        return {
            "failed": not is_trial(journal),
            "msg": f"tier {name!r} failed; the last lines of this run explain why",
        }

    def _read_failure(self, journal: Journal, name: str) -> TaskFailure:
        """Return the last failure that the callback plugin recorded; otherwise the failure in the task's arguments."""
        message = str(self._task.args.get("message") or "failed").splitlines()
        return last_failed_task(journal, name) or TaskFailure(str(self._task.args.get("task") or ""), "", message)
