# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_seal``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.client import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.adapter import (
    tier_and_journal,
    told_to_users,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.arguments import (
    check_config,
    check_protects,
    read_arguments,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.secrets import refuse
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.settings import check_facts, check_settings
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.build import seal_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.records import Planned, read_plan


class ActionModule(ActionBase):
    """Turns the build container's changes into the tier's one layer and its image."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        name, journal = tier_and_journal(self._task.args, task_vars)
        with told_to_users():
            self._check_origin(read_plan(journal, name), journal.read("settings", name) or {}, task_vars or {})
            declared = check_config(name, "config", self._task.args.get("config") or {})
            refuse(name, "config", declared, task_vars or {})
            protects = check_protects(name, "protects", self._task.args.get("protects") or [])
            refuse(name, "protects", {"": protects}, task_vars or {})
            told: list[str] = []

            def say(line: str) -> None:
                told.append(line)
                self._display.display(f"{name}: {line}")

            image = seal_tier(connect(), journal, name, declared, protects, say=say)
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
