# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.chain_remove``."""

from __future__ import annotations

from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    command,
    read_inventory,
    read_waiting,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.pruning import remove_chain


class ActionModule(ChainAction):
    """Removes a chain from the engine."""

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        inventory = read_inventory(variables)
        chain = inventory.name
        if self._task.args.get("chain") != chain:
            raise ChainError(
                f"chain_remove cannot remove chain {self._task.args.get('chain')!r}: this inventory describes chain "
                f"{chain!r}. Set 'chain' to this name, or use the inventory of the other chain"
            )
        wait = read_waiting(self._task.args, say)
        removed = remove_chain(connect(), chain, inventory.home, command(), wait)
        return {"changed": bool(removed), "images": removed}
