# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_publish``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine, connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import Image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.chain_inventory import ChainInventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.consumer_settings import read_consumers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.role_usage import run_results_ignored
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.signing_settings import read_signer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.tier_roles import TierRoles
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.own_images import find_own
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    command,
    end_with_parent,
    read_inventory,
    read_waiting,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.consumers import Consumers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publication import (
    Publication,
    SignedParts,
    candidate_tags,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publish import (
    ChooseTags,
    FindImage,
    cache_tags,
    choose_targets,
    compare_images,
    release_tags,
    show_published,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publish_release import choose_signing
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.registry_tags import finish_moves
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import begin
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import Signer


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

    def _choose(self, inventory: ChainInventory, engine: Engine) -> tuple[list[Tier], FindImage, ChooseTags]:
        """Choose the tiers, their images, and the tags of these images."""

        def find_released(tier: Tier) -> Image | None:
            return find_own(engine.images.find, tier, tier.release)

        targets = choose_targets(inventory.chain, inventory.selected, say)
        if self._is_candidate:
            return targets, find_released, candidate_tags
        names = engine.images.snapshot().names
        if self._only_cache:
            return targets, find_released, cache_tags(names)
        return targets, find_released, release_tags(names, cache=inventory.cache_use == "write")

    def _compare(self, inventory: ChainInventory, engine: Engine) -> dict[str, Any]:
        chosen = self._choose(inventory, engine)
        consumers = _read_all_consumers(inventory, chosen[0])
        differences = compare_images(*chosen, inventory.registries.writer)
        for each in differences:
            state = "published" if each.is_published else "to be published"
            asked = consumers.get(each.tier.name) if not each.is_published and self._releases else None
            condition = f", if its consumers accept it: {', '.join(asked.repositories)}" if asked else ""
            say(f"{each.tier.image}:{each.tags[-1]} is {state}{condition}")
        return {"changed": not all(each.is_published for each in differences), "published": {}, "sent": 0}

    def _publish(self, inventory: ChainInventory, engine: Engine) -> dict[str, Any]:
        registries = inventory.registries
        finish_moves(inventory.name, say, registries.writer)
        chosen = self._choose(inventory, engine)
        consumers = _read_all_consumers(inventory, chosen[0])
        tests = TierRoles(inventory).own_folder
        releases = None if not self._releases else choose_signing(inventory.policy, _signers(inventory, chosen[0]), say)
        parent, signed = end_with_parent(), SignedParts(LocalRecords(say), releases)
        publication = Publication(engine, inventory.name, inventory.chain, registries, tests, say, parent, signed)
        published = publication.send(*chosen)
        if self._releases:
            publication.ask(published, consumers)
        moved = publication.move(published)
        show_published(published, chosen[2], say)
        return {
            "changed": moved or bool(publication.records) or any(tier.sent for tier in published),
            "published": {tier.tier.name: f"{tier.tier.image}@{tier.manifest}" for tier in published},
            "sent": sum(tier.sent for tier in published),
        }

    @property
    def _releases(self) -> bool:
        """Whether the tags of releases move."""
        return not self._is_candidate and not self._only_cache

    @property
    def _only_cache(self) -> bool:
        return bool(boolean(self._task.args.get("only_cache", False)))

    @property
    def _is_candidate(self) -> bool:
        return bool(boolean(self._task.args.get("candidate", False)))


def _signers(inventory: ChainInventory, targets: Sequence[Tier]) -> Iterator[Signer]:
    """Yield the signers of tiers."""
    for tier in targets:
        # A module in a build container could return facts with the names of these variables.
        with run_results_ignored(inventory.hostvars):
            signer = read_signer(inventory.variables(tier.name), inventory.inventory_folder(tier.name))
        if signer is not None:
            yield signer


def _read_all_consumers(inventory: ChainInventory, targets: Sequence[Tier]) -> dict[str, Consumers]:
    """Read the consumers of those tiers that list some."""
    consumers = {tier.name: read_consumers(tier.name, inventory.variables(tier.name)) for tier in targets}
    return {name: each for name, each in consumers.items() if each is not None}
