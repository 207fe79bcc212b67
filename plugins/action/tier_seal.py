# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_seal``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.file_digests import Projects
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import unseen
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.argument_specs import (
    check_config,
    check_protects,
    read_arguments,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.role_usage import Present
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.secrets import refuse
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.variable_digests import (
    check_facts,
    check_settings,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import TierAction
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.task_observer import stop_here
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import Planned, read_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.build import seal_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.file_access import used


class ActionModule(TierAction):
    """Turns the build container's changes into the tier's one layer and its image."""

    def work(self, name: str, journal: Journal, variables: dict[str, Any]) -> dict[str, Any]:
        stop_here()
        known, planned = variables, read_plan(journal, name)
        self._check_origin(planned, journal.read("settings", name) or {}, known)
        variable = _said("tier_config", planned.config_variable, known)
        declared = check_config(name, variable, self._task.args.get("config") or {})
        refuse(name, variable, declared, known)
        variable = _said("tier_protects", planned.protects_variable, known)
        protects = check_protects(name, variable, self._task.args.get("protects") or [])
        refuse(name, variable, {"": protects}, known)
        present = Present(known["hostvars"], Projects(planned.projects))
        declared_inputs = any(part.startswith("input") for part in planned.parts)
        parts = present.settle(name, used(journal, name), declared=declared_inputs)
        told: list[str] = []

        def tell(line: str) -> None:
            told.append(line)
            say(f"{name}: {line}")

        if overlooked := unseen(parts):
            say(f"{name}: not looked at, should it change: {', '.join(overlooked)}")
        image = seal_tier(connect(), journal, name, declared, protects, parts, say=tell)
        return {
            "changed": True,
            "image": image.id,
            "layers": list(image.layers),
            "size": image.size,
            "left_out": [line for line in told if line.startswith("left out")],
        }

    def _check_origin(self, planned: Planned, settings: Mapping[str, str], variables: Mapping[str, Any]) -> None:
        """Make sure that nothing which happened in the build container decides how the image behaves."""
        tier, args = planned.tier.name, self._task.args
        said = {part.removeprefix("variable/") for part in planned.parts if part.startswith("variable/")}
        said.update(*(read_arguments(Path(role)).defaults for role in planned.roles))
        own = {"tier_config": planned.config_variable, "tier_protects": planned.protects_variable}
        check_facts(tier, variables.get("ansible_facts") or {}, own.values(), now=variables, said=said)
        values = {"tier_config": args.get("config"), "tier_protects": args.get("protects")}
        check_settings(tier, settings, values, variables, own)


def _said(variable: str, of_role: str, known: Mapping[str, Any]) -> str:
    """The variable that a tier's settings come from."""
    return variable if variable in known else of_role
