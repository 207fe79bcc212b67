# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_publish``."""

from __future__ import annotations

from functools import cache
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
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
    publish_images,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.registry_tags import (
    finish_moves,
    move_tags,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import begin
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.text import size
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter


class ActionModule(ChainAction):
    """Publishes the chain's released images to registries."""

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        inventory = read_inventory(variables)
        engine, registry = connect(), cache(RegistryWriter)
        wait = read_waiting(self._task.args, say)
        journal = begin(engine, inventory.name, inventory.home, command(), wait)
        try:
            finish_moves(inventory.name, say, registry)
            names = engine.images.snapshot().names
            published = publish_images(engine, inventory.chain, inventory.selected, names, registry, say)
            tests = TierRoles(inventory).own_folder
            Attacher(engine, inventory.chain, tests, registry, say).attach_images(published)
            moves = [move for tier in published for move in tier.moves]
            move_tags(inventory.name, moves, registry)
        finally:
            journal.end()
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
