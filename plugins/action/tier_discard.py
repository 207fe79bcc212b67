# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_discard``."""

from __future__ import annotations

from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.adapter import TierAction
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.cleanup import clear_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.failure import Failure, failing, give_up
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.journal import Journal


class ActionModule(TierAction):
    """Gives a failed tier up, and fails."""

    def work(self, name: str, journal: Journal, variables: dict[str, Any]) -> dict[str, Any]:
        give_up(journal, name, self._failure(journal, name))  # first: whoever waits must know, engine or not
        clear_tier(connect(), journal, name)
        # What failed was told when it did, and the end of the run tells all of it: not here as well.
        return {"failed": True, "msg": f"tier {name!r} is given up; the last lines of this run say why"}

    def _failure(self, journal: Journal, name: str) -> Failure:
        """What failed: what the run's watcher heard last, else what the play says."""
        said = str(self._task.args.get("message") or "failed").splitlines()
        return failing(journal, name) or Failure(str(self._task.args.get("task") or ""), "", said)
