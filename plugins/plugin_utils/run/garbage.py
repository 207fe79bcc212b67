# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a chain left on an engine that nothing needs, and its removal."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..chain.tier import Tier
from ..engine.engine import Engine
from ..image import cache, interpreter, own
from .claim import own_images, owned
from .cleanup import abandoned_runs, clear_run
from .holds import untag
from .home import Home
from .moves import move_all
from .prune import Needs, Pruning, plan_prune


@dataclass(frozen=True, slots=True)
class Garbage:
    """What can go."""

    #: Images, and tags of releases.
    pruning: Pruning
    #: Runs that left build containers.
    runs: tuple[str, ...]
    #: Volumes of interpreters, and caches of packages.
    volumes: tuple[str, ...]
    #: Bytes that images and volumes take.
    size: int

    def __bool__(self) -> bool:
        return bool(self.pruning.images or self.pruning.moves or self.runs or self.volumes)


def find(
    engine: Engine,
    chain: str,
    tiers: Collection[Tier],
    home: Home,
    *,
    keep: int,
    wanted: Collection[str],
) -> Garbage:
    """Find what can go. Nothing is changed.

    Args:
        engine: The engine.
        chain: The chain's name.
        tiers: Its tiers.
        home: Where it lives, and what its name was before.
        keep: How many releases to keep.
        wanted: IDs of images that the next run would take as they are.

    Raises:
        EngineError: The engine refused.
    """
    names, mine = engine.images.snapshot().names, owned(chain, home)
    abandoned = abandoned_runs(engine, chain, mine, names)
    needs = Needs(keep, engine.containers.sources(), wanted, own.parents(engine), abandoned)
    repositories = {each for their in mine.values() for each in their}
    images_ = own_images(engine, chain, home, names)
    images_ += own_images(engine, chain, home, names, called=home.former) if home.former else []
    pruning = plan_prune(images_, tiers, repositories, names, needs)
    gone = {each.id for each in pruning.images}
    left = [*interpreter.needless(engine, gone), *cache.needless(engine, gone)]
    return Garbage(
        pruning,
        tuple(abandoned),
        tuple(left),
        own.freed(engine, pruning.images) + engine.volumes.sizes(left),
    )


def remove(engine: Engine, chain: str, home: Home, garbage: Garbage) -> None:
    """Remove it. What somebody has begun to use meanwhile stays.

    Args:
        engine: The engine.
        chain: The chain's name.
        home: Where it lives.
        garbage: What :func:`find` has found.

    Raises:
        EngineError: The engine refused.
    """
    for run in garbage.runs:
        clear_run(engine, run)
    move_all(engine, chain, garbage.pruning.moves)
    repositories = {each for their in owned(chain, home).values() for each in their}
    names = {each: named for each, named in engine.images.snapshot().names.items() if each in repositories}
    for run in garbage.runs:
        untag(engine, run, names)
    for image in garbage.pruning.images:
        engine.images.remove(image.id)  # the last of its names took it along, where it had one
    for volume in garbage.volumes:
        engine.volumes.remove(volume)
