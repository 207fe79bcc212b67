# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_promote``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.sbom_statements import BillWriter
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.promotion_check import PromotionCheck
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.chain_inventory import ChainInventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.image_checks import make_checker
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.role_usage import run_results_ignored
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.signing_settings import read_signer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import ChainAction
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.module_archives import keep_archives
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.prepare_promotion import prepare_promotion
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.promotion import promote_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import Signer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import open_place


class ActionModule(ChainAction):
    """Moves the release tags of the tiers whose branch passed."""

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        engine, inventory = connect(), ChainInventory(variables)
        signatures: dict[str, int] = {}

        def signer_of(tier: str) -> Signer | None:
            # A module in a build container could return facts with the names of these variables.
            with run_results_ignored(inventory.hostvars):
                return read_signer(inventory.variables(tier), inventory.inventory_folder(tier))

        def prepare(images: Mapping[str, str], moving: Collection[str]) -> None:
            with run_results_ignored(inventory.hostvars):
                policy = inventory.policy
            store = Store()
            place = open_place("", "", store)
            check = PromotionCheck(make_checker(policy, inventory.registries, say), place) if policy else None
            bills = BillWriter(place, store).makers()
            signed = prepare_promotion(engine, images, moving, signer_of, check=check, more_statements=bills, say=say)
            signatures.update(signed.signatures)

        keep_archives()
        promotion = promote_run(engine, Journal(Path(self._task.args["run"])), prepare)
        for tier in promotion.moved:
            say(f"{tier.release} is now {promotion.images[tier.name]}")
        if promotion.release:
            say(f"this is {promotion.release}")
        return {
            "changed": bool(promotion.moved) or any(signatures.values()),
            "release": promotion.release or "",
            "promoted": dict(promotion.images),
            "signed": signatures,
        }
