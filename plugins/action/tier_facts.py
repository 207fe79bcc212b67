# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_facts``."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Replaces a fact that a build container cannot have."""

    _requires_connection = False
    _VALID_ARGS = frozenset({"service_manager"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the work; Ansible calls this."""
        super().run(tmp, task_vars)
        return {"changed": False, "ansible_facts": {"ansible_service_mgr": self._task.args["service_manager"]}}
