# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_promote``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import ChainAction
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.promotion import promote_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal


class ActionModule(ChainAction):
    """Moves the release tags of the tiers whose branch passed."""

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        promotion = promote_run(connect(), Journal(Path(self._task.args["run"])))
        for tier in promotion.moved:
            say(f"{tier.release} is now {promotion.images[tier.name]}")
        if promotion.release:
            say(f"this is {promotion.release}")
        return {
            "changed": bool(promotion.moved),
            "release": promotion.release or "",
            "promoted": dict(promotion.images),
        }
