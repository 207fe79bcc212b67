# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_base``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.bases import base_image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Protection
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.image_identity import identify
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.policy_check import PolicyCheck
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.inspection import Image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.argument_specs import (
    check_config,
    check_protects,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.image_checks import make_checker
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.secrets import reject_secrets
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import TierAction, read_inventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.task_observer import check_recording
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import read_plan, read_plans
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.build_notes import note_base
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.candidates import (
    accept,
    announce,
    hold,
    propose,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.image_tests import check_start


class ActionModule(TierAction):
    """Makes the image of a base from its source."""

    def work(self, name: str, journal: Journal, variables: dict[str, Any]) -> dict[str, Any]:
        planned = read_plan(journal, name)
        if any(plan.role and plan.action is Action.BUILD for plan in read_plans(journal)[1].values()):
            check_recording(name)
        declared = check_config(name, "tier_config", self._task.args.get("config") or {})
        reject_secrets(name, "tier_config", declared, variables)
        protects = check_protects(name, "tier_protects", self._task.args.get("protects") or [])
        reject_secrets(name, "tier_protects", {"": protects}, variables)
        own = Protection(name, planned.tier.team, protects)
        engine = connect()
        make = partial(
            base_image.make,
            engine,
            tier=planned.tier,
            declared=declared,
            identity=lambda family: labels.identity(planned.chain, planned.tier, planned.parts, family, protects=[own]),
            say=lambda line: say(f"{name}: {line}"),
            announce=partial(announce, journal, name),
            check_pulled=lambda image, reference: _check_pulled(name, image, reference, variables),
        )
        began = time.time()
        made = hold(engine, journal, planned.tier, make)
        image = propose(engine, journal, planned.tier, made)
        note_base(planned, journal.run, image, made, began, say=lambda line: say(f"{name}: {line}"))
        work = {**labels.work(journal.run, name), labels.CHAIN: planned.chain}
        check_start(engine, image, tier=name, labels=work)
        accept(engine, journal, planned.tier)  # a base has no role, and so no tests
        return {"changed": True, "image": image.id}


def _check_pulled(tier: str, image: Image, reference: str, variables: dict[str, Any]) -> None:
    """Refuse a pulled image that the policy wants others to have signed."""
    inventory = read_inventory(variables)
    check = PolicyCheck(inventory.policy, datetime.now(UTC)).pulled(tier) if inventory.policy else None
    if check is not None:
        checker = make_checker(inventory.policy, inventory.registries, say)
        checker.check_pulled(check, tier, identify(image, reference), reference)
