# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_plan``."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version

from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.client import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.adapter import told_to_users
from ansible_collections.tierwright.chain.plugins.plugin_utils.inventory.planning import Planner
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.cleanup import clear_ended_runs
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.plan import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.records import write_plan


class ActionModule(ActionBase):
    """Plans a run; nothing is built here."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        with told_to_users():
            planner = Planner(task_vars or {}, ".".join(ansible_version.split(".")[:2]))
            planner.chain  # noqa: B018 - a wrong inventory is told before an engine that does not answer
            client = connect()
            decisions = planner.decide(client, self._task.args.get("force"))
            self._show([decisions[name] for name in planner.selected])
            if self._task.check_mode:
                return _result(planner, decisions, run="", build=False)
            for run in clear_ended_runs(client, planner.name):
                self._display.display(f"cleared what the killed run {run} left behind")
            journal = Journal.begin(planner.name)
            for name, decision in decisions.items():
                selected, building = name in planner.selected, decision.action is Action.BUILD
                role = planner.role_name(name) if selected else None
                write_plan(journal, planner.name, decision, role, planner.commit(name) if building else None)
            return _result(planner, decisions, run=str(journal.folder), build=True)

    def _show(self, decisions: list[Decision]) -> None:
        width = max((len(decision.tier.name) for decision in decisions), default=0)
        for decision in decisions:
            first, *more = decision.reasons
            self._display.display(f"{decision.tier.name:{width}}  {decision.action:5}  {first}")
            for reason in more:
                self._display.display(f"{'':{width}}         {reason}")


def _result(planner: Planner, decisions: dict[str, Decision], *, run: str, build: bool) -> dict[str, Any]:
    builds = [name for name in planner.selected if build and decisions[name].action is Action.BUILD]
    return {
        "changed": False,
        "run": run,
        "bases": [name for name in builds if planner.chain[name].parent is None],
        "builds": [name for name in builds if planner.chain[name].parent is not None],
        "promote": build and any(not decisions[name].released for name in planner.selected),
        "tiers": {
            name: {"action": str(decision.action), "reasons": list(decision.reasons), "image": decision.image}
            for name, decision in decisions.items()
            if name in planner.selected
        },
    }
