# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.chain_outline``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.outline_record import ChainOutline
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TierwrightError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.playbook_answer import Refusal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    read_inventory,
    write_answer,
)

_VARIABLE = "tier_outline_file"


class ActionModule(ChainAction):
    """Reads the graph of a chain. Nothing is changed, and no engine is asked."""

    _supports_check_mode = True

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        dest = self._task.args.get("dest")
        try:
            inventory = read_inventory(variables)
            outline = ChainOutline(inventory.name, tuple(inventory.chain))
        except TierwrightError as error:
            if dest:
                write_answer(_VARIABLE, Path(str(dest)), Refusal.of(error))
            raise
        if dest:
            write_answer(_VARIABLE, Path(str(dest)), outline)
        return {"changed": False, "chain": outline.chain, "tiers": [tier.name for tier in outline.tiers]}
