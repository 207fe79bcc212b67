# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_seal``."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.client import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.adapter import (
    tier_and_journal,
    told_to_users,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.arguments import check_config, check_protects
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.secrets import refuse
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.build import seal_tier


class ActionModule(ActionBase):
    """Turns the build container's changes into the tier's one layer and its image."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        name, journal = tier_and_journal(self._task.args, task_vars)
        with told_to_users(f"tier {name!r}"):
            declared = check_config(name, "config", self._task.args.get("config") or {})
            refuse(name, "config", declared, task_vars or {})
            protects = check_protects(name, "protects", self._task.args.get("protects") or [])
            refuse(name, "protects", {"": protects}, task_vars or {})
            image = seal_tier(connect(), journal, name, declared, protects)
        return {"changed": True, "image": image.id, "layers": list(image.layers), "size": image.size}
