# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Removal of a chain that was made for a trial: everything that there is of it on an engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..engine.engine import Engine
from ..image import own
from .claim import check_claim, give_up, own_images
from .cleanup import clear_ended_runs
from .home import Home
from .moves import recover
from .turn import Waiting, take_turn


def remove_chain(engine: Engine, chain: str, home: Home, command: str, waiting: Waiting) -> list[str]:
    """Remove all images that are a chain's own, under all their names, and what its ended runs left.

    What images of other chains stand on, or a container was made from, stays.

    Args:
        engine: The engine.
        chain: The chain's name.
        home: Where it lives.
        command: What this process was started as.
        waiting: What to do where a run over the chain goes on.

    Returns:
        IDs of the removed images.

    Raises:
        RunError: Another project has a chain of this name, or a run goes on for longer than the user wants to wait.
        EngineError: The engine refused.
    """
    check_claim(engine, chain, home)
    journal = take_turn(chain, command, waiting)
    try:
        recover(engine, chain, lambda _line: None)  # what it would tell of is removed in a moment
        clear_ended_runs(engine, chain, but=journal)
        before = _own(engine, chain, home)
        going = before - _below(own.parents(engine), before)
        for repository, tags in engine.images.snapshot().names.items():
            for tag, image in tags.items():
                if image in going:
                    engine.images.remove(f"{repository}:{tag}")
        for image in going:
            engine.images.remove(image)
        left = _own(engine, chain, home)
        if not left and not (home.former and _own(engine, chain, home, called=home.former)):
            give_up(engine, chain)
        return sorted(going - left)
    finally:
        journal.end()


def _own(engine: Engine, chain: str, home: Home, *, called: str = "") -> set[str]:
    return {each.id for each in own_images(engine, chain, home, engine.images.snapshot().names, called=called)}


def _below(parents: Mapping[str, str], mine: Collection[str]) -> set[str]:
    """What images of others stand on, at whatever distance."""
    found: set[str] = set()
    for image in parents.keys() - mine:
        below = parents.get(image)
        while below is not None and below not in found:
            found.add(below)
            below = parents.get(below)
    return found
