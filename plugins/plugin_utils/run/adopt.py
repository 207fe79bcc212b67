# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Taking over the state that a chain has under a former name.

A chain whose inventory does not name it was once called after the inventory's folder, whatever that was: ``inventory``.
Several projects may have left state there. Each takes what is about its own tiers, and leaves the rest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Collection
from pathlib import Path

from ..contract import kept
from ..errors import TierwrightError
from .home import Home
from .journal import Journal, runs, runs_folder, state_folder
from .noting import take_over
from .records import read_plans


def adopt(chain: str, home: Home, warn: Callable[[str], None]) -> None:
    """Take over what is the chain's own of the state under its former name, where it has one.

    Args:
        chain: The chain's name now.
        home: Where it lives: its tiers, and its former name.
        warn: Called with what cannot be read or written.
    """
    old = state_folder(home.former) if home.former else None
    if old is None or not old.is_dir():
        return
    images = dict(each.split(" ", 1) for each in home.tiers)
    for path in sorted(old.glob("promotion-*.json")):
        if _moved_in(path) and _moved_in(path) <= set(images.values()):
            _take(path, state_folder(chain) / path.name)
    for journal in list(runs(home.former)):
        if not journal.is_alive() and _is_of(journal, images.values()):
            _take(journal.folder, runs_folder(chain) / journal.run)
    take_over(home.former, chain, images, warn)
    _adopt_matrices(old, chain, images)


def _moved_in(path: Path) -> set[str]:
    """Repositories whose tags an interrupted promotion moves; none where it cannot be read."""
    try:
        return {str(move["repository"]) for move in json.loads(path.read_text())["moves"]}
    except (OSError, ValueError, TypeError, KeyError):
        return set()


def _is_of(journal: Journal, repositories: Collection[str]) -> bool:
    """Say whether a run was over tiers whose images lie in ``repositories``, all of them."""
    try:
        _chain, planned = read_plans(journal)
    except (TierwrightError, ValueError, TypeError, KeyError):
        return False
    return bool(planned) and all(each.tier.image in repositories for each in planned.values())


def _take(path: Path, to: Path) -> None:
    if not to.exists():
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.replace(to)


def _adopt_matrices(old: Path, chain: str, tiers: Collection[str]) -> None:
    if kept.is_kept(state_folder(chain)):
        return
    with contextlib.suppress(TierwrightError, OSError):  # matrices only tell of what was
        for matrix in kept.kept(old):
            if set(matrix.tiers) <= set(tiers):
                kept.keep(state_folder(chain), dataclasses.replace(matrix, chain=chain))
