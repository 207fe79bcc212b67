# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_start``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier_variables import SECRETS
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.build_secrets import read_secrets
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    TierAction,
    inventories,
    proxies,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.task_observer import check_recording
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.kept_builds import (
    KeepRequest,
    request_keeping,
    resumed_build,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import Planned, read_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.build import (
    StartedBuild,
    resume,
    spare,
    start,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.build_secrets import SSH_AGENT
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.parent import wait_for_parent


class ActionModule(TierAction):
    """Waits for the tier's parent, then starts a build container on the parent's image."""

    def work(self, name: str, journal: Journal, variables: dict[str, Any]) -> dict[str, Any]:
        planned = read_plan(journal, name)
        if planned.action is Action.KEEP:
            return {"changed": False, "spared": True, "image": planned.image}
        environment = proxies(name, self._task.args.get("proxy"))
        keeps = _read_keep(name, self._task.args.get("keep_failed"))
        if (kept := resumed_build(journal, name)) is not None:
            resumed = resume(connect(), journal, kept, secrets=self._read_secrets(name, variables))
            return _describe(planned, resumed, kept.parent, environment)
        parent_id = wait_for_parent(journal, planned)
        if boolean(self._task.args.get("record", True)):
            check_recording(name)
        engine = connect()
        spared = spare(engine, journal, planned, parent_id)
        if spared is not None:
            return {"changed": False, "spared": True, "parent": parent_id, "image": spared.id}
        started = start(
            engine,
            journal,
            planned,
            parent_id,
            python=self._task.args.get("python") or None,
            secrets=self._read_secrets(name, variables),
            say=lambda line: say(f"{name}: {line}"),
        )
        if keeps:
            request_keeping(journal, name, KeepRequest(started.python, inventories()))
        return _describe(planned, started, parent_id, environment)

    def _read_secrets(self, name: str, variables: Mapping[str, Any]) -> Mapping[str, str]:
        return read_secrets(name, self._templar.template(variables.get(SECRETS)))


def _describe(
    planned: Planned, started: StartedBuild, parent_id: str, environment: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "changed": True,
        "spared": False,
        "container": started.container,
        "python": started.python,
        "parent": parent_id,
        "role": planned.role,
        "more_roles": list(planned.more_roles),
        "before": list(planned.tier.before),
        "after": list(planned.tier.after),
        "environment": {**environment, **({"SSH_AUTH_SOCK": SSH_AGENT} if planned.tier.ssh_agent else {})},
        "config_variables": list(planned.config_variables),
        "protects_variables": list(planned.protects_variables),
    }


def _read_keep(tier: str, value: Any) -> bool:
    try:
        return bool(boolean(False if value is None else value))
    except TypeError as error:
        raise ChainError(f"tier {tier!r}: tier_keep_failed is {value!r}; expected true or false") from error
