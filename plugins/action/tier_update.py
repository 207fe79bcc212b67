# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_update``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, TierwrightError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover import lock_file
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.followed_image import (
    check_update,
    look_up,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.image_check import ImageChecker
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.lock_comparison import describe_update
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.lock_file import LockedTier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.lock_update import (
    FollowedUpdate,
    LockUpdate,
    update_lines,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.chain_inventory import ChainInventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.image_checks import make_checker
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.playbook_answer import Refusal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    read_inventory,
    write_answer,
)


class ActionModule(ChainAction):
    """Shows what is newer in the images that a chain follows, and writes the lock file."""

    _supports_check_mode = True

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._update(variables)
        except TierwrightError as error:
            if dest := self._task.args.get("dest"):
                write_answer("tier_update_file", Path(str(dest)), Refusal.of(error))
            raise

    def _update(self, variables: dict[str, Any]) -> dict[str, Any]:
        inventory = read_inventory(variables)
        updates: list[FollowedUpdate] = []
        locks: dict[Path, dict[str, LockedTier]] = {}
        checker = make_checker(inventory.policy, inventory.registries, say)
        for tier in _choose(inventory, self._task.args.get("tiers")):
            update, locked = _look_up(inventory, tier, checker)
            updates.append(update)
            if update.newer:
                locks.setdefault(inventory.lock_path(tier.name), {})[tier.name] = locked
        if not self._task.check_mode:
            for path, newer in locks.items():
                lock_file.write_lock(path, {**lock_file.read_lock(path), **newer})
        written = [] if self._task.check_mode else list(map(str, locks))
        answer = LockUpdate(updates, written, verified=inventory.policy is not None)
        for line in update_lines(answer):
            say(line)
        if dest := self._task.args.get("dest"):
            write_answer("tier_update_file", Path(str(dest)), answer)
        return {
            "changed": bool(locks),
            "newer": {update.tier: f"{update.image}@{update.newest}" for update in updates if update.newer},
            "written": answer.written,
        }


def _choose(inventory: ChainInventory, names: Any) -> Collection[Tier]:
    """Return the followed tiers that are named, or by default those that ``--limit`` selects.

    Raises:
        ChainError: A named tier does not follow an image, or no tier does.
    """
    if names is not None and not isinstance(names, str | list | tuple):
        raise ChainError(f"tier_update is {names!r}; expected names of tiers: [corebuild], or corebuild,database")
    named = names.split(",") if isinstance(names, str) else list(names or ())
    named = [str(name).strip() for name in named if str(name).strip()]
    followed = [tier.name for tier in inventory.chain if tier.followed is not None]
    if not followed:
        raise ChainError(
            "no tier of this inventory follows an image of another team; tier_follow makes one: "
            "{image: registry.example.org/operations/corebuild, tag: stable}"
        )
    if others := [name for name in named if name not in followed]:
        raise ChainError(
            f"{', '.join(map(repr, others))} cannot be updated: no tier with this name follows an image of another "
            f"team; these tiers do: {', '.join(followed)}"
        )
    chosen = named or [name for name in inventory.selected if name in followed]
    return [inventory.chain[name] for name in followed if name in chosen]


def _look_up(inventory: ChainInventory, tier: Tier, checker: ImageChecker) -> tuple[FollowedUpdate, LockedTier]:
    path, connect = inventory.lock_path(tier.name), inventory.registries.reader
    before = lock_file.read_lock(path).get(tier.name)
    now = look_up(connect, tier)
    if inventory.policy is not None:
        check_update(checker, tier, now)
    return describe_update(connect, tier, before, now, Store()), now.locked
