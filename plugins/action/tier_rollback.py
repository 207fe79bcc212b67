# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_rollback``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine, connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.chain_inventory import ChainInventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    command,
    read_inventory,
    read_waiting,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.rollback import Rollback, plan_rollback
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.tag_transaction import move_all
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import begin
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.claim import check_claim, check_images


class ActionModule(ChainAction):
    """Moves the chain's release tags to a different release."""

    _supports_check_mode = True

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        inventory = read_inventory(variables)
        engine = connect()
        if self._task.check_mode:
            check_claim(engine, inventory.name, inventory.home)
            rollback = self._plan(inventory, engine)
        else:
            wait = read_waiting(self._task.args, say)
            journal = begin(engine, inventory.name, inventory.home, command(), wait)
            try:
                rollback = self._plan(inventory, engine)
                move_all(engine, inventory.name, rollback.moves)
            finally:
                journal.end()
        self._show(rollback)
        moved = {change.tier.name: {"was": change.was, "is": change.now} for change in rollback.changes}
        return {"changed": bool(moved), "release": rollback.release, "moved": moved}

    def _plan(self, inventory: ChainInventory, engine: Engine) -> Rollback:
        wanted = str(self._task.args.get("release") or "") or None
        names = engine.images.snapshot().names
        rollback = plan_rollback(inventory.chain, inventory.selected, names, wanted, datetime.now(UTC))
        moving = {change.tier: change.was for change in rollback.changes}
        check_images(engine, inventory.name, inventory.home, moving)
        return rollback

    def _show(self, rollback: Rollback) -> None:
        if not rollback.changes:
            say(f"the release tags already match {rollback.release}")
            return
        check = self._task.check_mode
        rows = [
            ("TIER", "WAS", "WOULD BE" if check else "IS"),
            *((change.tier.name, (change.was or "-")[:19], change.now[:19]) for change in rollback.changes),
        ]
        width = max(len(row[0]) for row in rows)
        for tier, was, now in rows:
            say(f"{tier:{width}}  {was:19}  {now}")
        say(f"{'that' if check else 'this'} is {rollback.release}")
