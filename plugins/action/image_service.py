# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.image_service``."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.service_tasks import (
    image_arguments,
    init_script,
    is_started,
)


class ActionModule(ActionBase):
    """Enables a service in the image, and starts it only if the tier says so."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the work; Ansible calls this."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments, ignored = image_arguments(self._task.args)
        services = self._templar.template(variables.get("tier_services"))
        starts = bool(arguments.get("state")) and is_started(services, arguments)
        result: dict[str, Any] = self._execute_module(
            module_name="tierwright.chain.image_service",
            module_args={**arguments, "starts": starts},
            task_vars=variables,
        )
        if ignored and not result.get("failed"):
            line = f"service {arguments.get('name')}: {', '.join(ignored)} has no effect in a build"
            result.setdefault("warnings", []).append(line)
        if not starts or result.get("failed"):
            return result
        started: dict[str, Any] = self._execute_module(
            module_name="ansible.legacy.sysvinit",
            module_args={"name": init_script(str(arguments["name"])), "state": arguments["state"], "daemonize": True},
            task_vars=variables,
        )
        changed = bool(result.get("changed") or started.get("changed"))
        return {**result, **started, "changed": changed, "name": arguments["name"]}
