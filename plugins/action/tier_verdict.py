# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_verdict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import Image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.secrets import SecretMask
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.tier_roles import TierRoles
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    end_with_parent,
    read_inventory,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.judging import judge, passed_images
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publication import (
    Publication,
    candidate_tags,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publish import (
    choose_targets,
    show_published,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.registry_tags import finish_moves
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.tell_verdict import tell_verdicts
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal


class ActionModule(ChainAction):
    """Publishes the verdicts of a run that tried candidates, and the images that passed, as candidates for others."""

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        inventory, engine = read_inventory(variables), connect()
        journal, registries = Journal(Path(self._task.args["run"])), inventory.registries

        def find_parent(image: str) -> str | None:
            found = engine.images.find(image)
            return found.labels.get(labels.PARENT) if found else None

        def find_passed(tier: Tier) -> Image | None:
            return engine.images.find(passed[tier.name])

        judgements = judge(journal, find_parent)
        mask = SecretMask([inventory.variables(name) for name in judgements]).hide
        verdicts = tell_verdicts(journal, judgements, registries.writer, mask, say)
        passed = passed_images(journal, judgements)
        if any(inventory.chain[name].is_publishable for name in passed):
            finish_moves(inventory.name, say, registries.writer)
            tests = TierRoles(inventory).own_folder
            parent = end_with_parent()
            publication = Publication(engine, inventory.name, inventory.chain, registries, tests, say, parent)
            published = publication.send(choose_targets(inventory.chain, passed, say), find_passed, candidate_tags)
            publication.move(published)
            show_published(published, candidate_tags, say)
        return {
            "changed": bool(verdicts),
            "verdicts": [
                {"tier": each.tier, "image": f"{each.image}@{each.digest}", "passed": each.passed} for each in verdicts
            ],
        }
