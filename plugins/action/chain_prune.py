# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.chain_prune``."""

from __future__ import annotations

from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier_names import GROUP
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine, connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.planner import Planner
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    command,
    make_planner,
    read_waiting,
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
    """Removes the images of a chain that nothing needs any more."""

    _supports_check_mode = True

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        keep = _read_keep(self._task.args.get("keep_releases"))
        planner = make_planner(_unlimited(variables))
        inventory = planner.inventory
        engine = connect()
        if self._task.check_mode:
            check_claim(engine, inventory.name, inventory.home)
            garbage = self._find(planner, engine, keep)
        else:
            wait = read_waiting(self._task.args, say)
            journal = begin(engine, inventory.name, inventory.home, command(), wait)
            try:
                garbage = self._find(planner, engine, keep)
                remove_garbage(engine, inventory.name, inventory.home, garbage)
            finally:
                journal.end()
        self._show(garbage)
        return {
            "changed": bool(garbage),
            "freed": garbage.size,
            "images": {image.id: image.tier for image in garbage.pruning.images},
            "kept": [kept.tier for kept in garbage.kept],
            "runs": list(garbage.runs),
            "volumes": list(garbage.volumes),
        }

    def _find(self, planner: Planner, engine: Engine, keep: int) -> Garbage:
        wanted = {decision.image for decision in planner.decide(engine, None).values() if decision.image}
        inventory = planner.inventory
        return find_garbage(engine, inventory.name, tuple(inventory.chain), inventory.home, keep=keep, wanted=wanted)

    def _show(self, garbage: Garbage) -> None:
        width = max((len(image.tier) for image in garbage.pruning.images), default=0)
        for image in garbage.pruning.images:
            say(f"{image.tier:{width}}  {image.id[:19]}  {size(image.size)}")
        for release in garbage.pruning.dropped_releases:
            say(f"{release} is not kept")
        for kept in garbage.kept:
            say(f"container of the failed build of tier {kept.tier} in run {kept.run}")
        for run in garbage.runs:
            say(f"build containers of run {run}")
        for volume in garbage.volumes:
            say(f"volume {volume}")
        verb = "would free" if self._task.check_mode else "freed"
        say(f"{verb} {size(garbage.size)}" if garbage else "there is nothing to remove")


def _unlimited(task_vars: dict[str, Any]) -> dict[str, Any]:
    """Select all tiers, because the images of tiers that ``--limit`` excludes are needed too."""
    return {**task_vars, "ansible_play_hosts_all": task_vars["groups"].get(GROUP, ())}


def _read_keep(value: Any) -> int:
    try:
        keep = int(KEEP_RELEASES if value is None else value)
    except (TypeError, ValueError):
        keep = 0
    if keep < 1:
        raise ChainError(f"tier_keep_releases is {value!r}; expected a number of releases, 1 or more")
    return keep
