# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_seal``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.file_digests import Projects
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import unseen
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.merged_settings import merge_settings
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier_variables import SECRETS
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.ansible_settings import describe_tools
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.argument_specs import (
    check_config,
    check_protects,
    read_arguments,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.build_secrets import read_secrets
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.role_usage import CurrentValues
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.secrets import reject_secrets
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.variable_digests import (
    check_facts,
    check_settings,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import TierAction
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.task_observer import stop_recording_here
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import Planned, read_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.build import RoleUse, seal_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.file_access import used_sources


class ActionModule(TierAction):
    """Turns the build container's changes into the tier's one layer and its image."""

    def work(self, name: str, journal: Journal, variables: dict[str, Any]) -> dict[str, Any]:
        stop_recording_here()
        planned = read_plan(journal, name)
        self._check_origin(planned, journal.read_record("settings", name, dict[str, str]) or {}, variables)
        variable = _choose_variable("tier_config", planned.config_variables, variables)
        declared = check_config(name, variable, self._settings(name, variable))
        secrets = read_secrets(name, self._templar.template(variables.get(SECRETS)))
        variables = {**variables, SECRETS: secrets}
        reject_secrets(name, variable, declared, variables)
        variable = _choose_variable("tier_protects", planned.protects_variables, variables)
        protects = check_protects(name, variable, self._protected_paths())
        reject_secrets(name, variable, {"": protects}, variables)
        current = CurrentValues(variables["hostvars"], Projects(planned.projects))
        declared_inputs = any(part.startswith("input") for part in planned.parts)
        parts = current.key_parts(name, used_sources(journal, name), declared=declared_inputs)
        lines: list[str] = []

        def show(line: str) -> None:
            lines.append(line)
            say(f"{name}: {line}")

        if sources := unseen(parts):
            say(f"{name}: not looked at, so a change does not make the tier stale: {', '.join(sources)}")
        tools = describe_tools(parts)
        image = seal_tier(connect(), journal, name, declared, protects, RoleUse(parts, tools, secrets), say=show)
        return {
            "changed": True,
            "image": image.id,
            "layers": list(image.layers),
            "size": image.size,
            "left_out": [line for line in lines if line.startswith("left out")],
        }

    def _settings(self, tier: str, variable: str) -> Any:
        """The settings of the image; those of several roles are merged.

        Raises:
            ChainError: One of several is not a dictionary.
        """
        config = self._task.args.get("config") or {}
        if not isinstance(config, list):
            return config
        if len(config) == 1:
            return config[0] or {}
        for settings in config:
            if not isinstance(settings, Mapping):
                raise ChainError(f"tier {tier!r}: {variable}: one of them is {settings!r}; expected a dictionary")
        return merge_settings(config)

    def _protected_paths(self) -> Any:
        """The protected paths; those of several roles are a list of lists."""
        protects = self._task.args.get("protects") or []
        if isinstance(protects, list) and protects and all(isinstance(each, list) for each in protects):
            return [path for paths in protects for path in paths]
        return protects

    def _check_origin(self, planned: Planned, settings: Mapping[str, str], variables: Mapping[str, Any]) -> None:
        """Check that the image settings do not come from the build container, through facts or registered variables."""
        tier, args = planned.tier.name, self._task.args
        configured = {part.removeprefix("variable/") for part in planned.parts if part.startswith("variable/")}
        configured.update(*(read_arguments(Path(role)).defaults for role in planned.roles))
        names = {"tier_config": planned.config_variables, "tier_protects": planned.protects_variables}
        own = {variable: " or ".join(roles) for variable, roles in names.items()}
        facts, of_roles = variables.get("ansible_facts") or {}, [name for roles in names.values() for name in roles]
        check_facts(tier, facts, of_roles, now=variables, configured=configured)
        values = {"tier_config": args.get("config"), "tier_protects": args.get("protects")}
        check_settings(tier, settings, values, variables, own)


def _choose_variable(variable: str, of_roles: Sequence[str], variables: Mapping[str, Any]) -> str:
    """Return the name of the variable that sets a tier's settings: the inventory's, otherwise those of the roles."""
    return variable if variable in variables else " and ".join(of_roles)
