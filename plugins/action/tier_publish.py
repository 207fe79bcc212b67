# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_publish``."""

from __future__ import annotations

from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine, connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.chain_inventory import ChainInventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.tier_roles import TierRoles
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    command,
    read_inventory,
    read_waiting,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.attach_images import Attacher
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publish import (
    PublishedTier,
    compare_images,
    publish_images,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.registry_tags import (
    finish_moves,
    move_tags,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import begin
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.text import size


class ActionModule(ChainAction):
    """Publishes the chain's released images to registries."""

    _supports_check_mode = True

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        inventory = read_inventory(variables)
        engine = connect()
        if self._task.check_mode:
            return self._compare(inventory, engine)
        if self._task.args.get("run"):  # the run of a build already keeps other runs away
            return self._publish(inventory, engine)
        wait = read_waiting(self._task.args, say)
        journal = begin(engine, inventory.name, inventory.home, command(), wait)
        try:
            return self._publish(inventory, engine)
        finally:
            journal.end()

    def _compare(self, inventory: ChainInventory, engine: Engine) -> dict[str, Any]:
        registry = inventory.registries.writer
        differences = compare_images(engine, inventory.chain, inventory.selected, registry, say)
        for each in differences:
            say(f"{each.tier.release} is {'published' if each.is_published else 'to be published'}")
        return {"changed": not all(each.is_published for each in differences), "published": {}, "sent": 0}

    def _publish(self, inventory: ChainInventory, engine: Engine) -> dict[str, Any]:
        registry = inventory.registries.writer
        finish_moves(inventory.name, say, registry)
        names, cache = engine.images.snapshot().names, inventory.cache_use == "write"
        differences = compare_images(engine, inventory.chain, inventory.selected, registry, say)
        published = publish_images(engine, inventory.chain, differences, names, registry, say, cache=cache)
        tests = TierRoles(inventory).own_folder
        Attacher(engine, inventory.chain, tests, registry, say).attach_images(published)
        moves = [move for tier in published for move in tier.moves]
        move_tags(inventory.name, moves, registry)
        self._show(published)
        return {
            "changed": bool(moves) or any(tier.sent for tier in published),
            "published": {tier.tier.name: f"{tier.tier.image}@{tier.manifest}" for tier in published},
            "sent": sum(tier.sent for tier in published),
        }

    def _show(self, published: list[PublishedTier]) -> None:
        width = max(len(tier.tier.name) for tier in published)
        for tier in published:
            result = "published" if tier.moves else "published before"
            sent = f", {size(tier.sent)} sent" if tier.sent else ""
            say(f"{tier.tier.name:{width}}  {tier.tier.release}  {tier.manifest[:19]}  {result}{sent}")
