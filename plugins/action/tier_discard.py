# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_discard``."""

from __future__ import annotations

from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import TierAction
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.cleanup import clear_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.failure import (
    TaskFailure,
    failing,
    give_up,
)


class ActionModule(TierAction):
    """Gives a failed tier up, and fails."""

    def work(self, name: str, journal: Journal, variables: dict[str, Any]) -> dict[str, Any]:
        give_up(journal, name, self._failure(journal, name))  # first: whoever waits must know, engine or not
        clear_tier(connect(), journal, name)
        # What failed was told when it did, and the end of the run tells all of it: not here as well.
        return {"failed": True, "msg": f"tier {name!r} is given up; the last lines of this run say why"}

    def _failure(self, journal: Journal, name: str) -> TaskFailure:
        """What failed: what the run's watcher heard last, else what the play says."""
        said = str(self._task.args.get("message") or "failed").splitlines()
        return failing(journal, name) or TaskFailure(str(self._task.args.get("task") or ""), "", said)
