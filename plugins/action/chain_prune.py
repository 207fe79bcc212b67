# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.chain_prune``."""

from __future__ import annotations

from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine, connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.planner import Planner
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.tiers import GROUP
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    command,
    planner_of,
    waiting,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.pruning import (
    KEEP_RELEASES,
    Garbage,
    find_garbage,
    remove_garbage,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import begin
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.claim import check_claim
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.text import size


class ActionModule(ChainAction):
    """Removes what nothing needs any more of a chain."""

    _supports_check_mode = True

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        keep = _count(self._task.args.get("keep_releases"))
        planner = planner_of(_unlimited(variables))
        engine = connect()
        if self._task.check_mode:
            check_claim(engine, planner.name, planner.home)
            garbage = self._find(planner, engine, keep)
        else:
            wait = waiting(self._task.args, say)
            journal = begin(engine, planner.name, planner.home, command(), wait)
            try:
                garbage = self._find(planner, engine, keep)
                remove_garbage(engine, planner.name, planner.home, garbage)
            finally:
                journal.end()
        self._show(garbage)
        return {
            "changed": bool(garbage),
            "freed": garbage.size,
            "images": {each.id: each.tier for each in garbage.pruning.images},
            "runs": list(garbage.runs),
            "volumes": list(garbage.volumes),
        }

    def _find(self, planner: Planner, engine: Engine, keep: int) -> Garbage:
        wanted = {each.image for each in planner.decide(engine, None).values() if each.image}
        return find_garbage(engine, planner.name, tuple(planner.chain), planner.home, keep=keep, wanted=wanted)

    def _show(self, garbage: Garbage) -> None:
        width = max((len(each.tier) for each in garbage.pruning.images), default=0)
        for each in garbage.pruning.images:
            say(f"{each.tier:{width}}  {each.id[:19]}  {size(each.size)}")
        for release in garbage.pruning.forgotten:
            say(f"{release} is not kept")
        for run in garbage.runs:
            say(f"build containers of run {run}")
        for volume in garbage.volumes:
            say(f"volume {volume}")
        verb = "would free" if self._task.check_mode else "freed"
        say(f"{verb} {size(garbage.size)}" if garbage else "there is nothing to remove")


def _unlimited(task_vars: dict[str, Any]) -> dict[str, Any]:
    """Let the plan be that of all tiers: what it wants of those that ``--limit`` leaves out is needed as well."""
    return {**task_vars, "ansible_play_hosts_all": task_vars["groups"].get(GROUP, ())}


def _count(given: Any) -> int:
    try:
        count = int(KEEP_RELEASES if given is None else given)
    except (TypeError, ValueError):
        count = 0
    if count < 1:
        raise ChainError(f"tier_keep_releases is {given!r}; expected a number of releases, 1 or more")
    return count
