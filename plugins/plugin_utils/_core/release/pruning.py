# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nothing needs any more, and its removal.

Which images of a chain nothing needs any more, and what goes with them.

What a chain left on an engine that nothing needs, and its removal.

Removal of a chain that was made for a trial: everything that there is of it on an engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..chain import tags
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import Names
from ..image import provenance
from ..image.provenance import Own
from ..interpreter import mounted_python
from ..state.claim import check_claim, give_up, own_images, owned
from ..state.lock import Waiting, take_turn
from ..state.owner import Home
from ..tier_build.candidates import untag
from ..tier_build.cleanup import abandoned_runs, clear_ended_runs, clear_run
from .promotion import Releases
from .tag_transaction import Move, move_all, recover

#: Releases to keep, unless the user says otherwise.
KEEP_RELEASES = 3


@dataclass(frozen=True, slots=True)
class Needs:
    """What is needed besides what somebody gave a name to."""

    #: How many releases, the current one included. Those that are newer, because a rollback went behind them, stay too.
    releases: int
    #: IDs of images that containers were made from.
    used: Collection[str]
    #: IDs of images that the next run would take as they are.
    wanted: Collection[str]
    #: IDs of the images that images stand on.
    parents: Mapping[str, str]
    #: Runs that are over, and still hold images.
    abandoned: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Pruning:
    """What is removed."""

    #: The images.
    images: tuple[Own, ...]
    #: The moves of tags: those of the images go, and so do those of releases that are not kept.
    moves: tuple[Move, ...]

    @property
    def forgotten(self) -> list[str]:
        """The releases that nothing is known of afterwards."""
        kept = {move.tag for move in self.moves if move.after}
        return sorted({move.tag for move in self.moves if tags.is_release(move.tag)} - kept)


def plan_prune(
    own: Sequence[Own], tiers: Collection[Tier], repositories: Collection[str], names: Names, needs: Needs
) -> Pruning:
    """Say which of a chain's own images can go, and which of its tags in the repositories of its tiers.

    The oldest release that is kept gets its tag on all of its images, so that it is whole without older ones.

    Args:
        own: All images that are the chain's own.
        tiers: The tiers of the chain.
        repositories: Those of its tiers, and of tiers that it had.
        names: Image IDs by tag, by repository.
        needs: What else is needed.
    """
    ours = {each.id for each in own}
    releases = Releases((*repositories, *(tier.image for tier in tiers)), names)
    oldest = _oldest(releases, tiers, needs.releases)
    at_oldest = {each: image for each in repositories if (image := releases.at(each, oldest))}
    failed = {image for named in names.values() for tag, image in named.items() if tags.is_failed(tag)}
    needed = {*needs.used, *(set(needs.wanted) - failed), *at_oldest.values(), *(needs.parents.keys() - ours)}
    needed.update(
        image
        for repository, named in names.items()
        for tag, image in named.items()
        if repository not in repositories or _needs(tag, oldest, needs.abandoned)
    )
    needed.update(_ancestors(needed, needs.parents))
    return Pruning(
        tuple(each for each in own if each.id not in needed),
        (
            *(
                Move(repository, oldest, None, image)
                for repository, image in at_oldest.items()
                if image in ours and releases.named(repository, oldest) is None
            ),
            *(
                Move(repository, tag, image, None)
                for repository in repositories
                for tag, image in names.get(repository, {}).items()
                if image in ours and (image not in needed or _is_old(tag, oldest, releases.notes(repository, image)))
            ),
        ),
    )


def _needs(tag: str, oldest: str, abandoned: Collection[str]) -> bool:
    """Say whether a tag in one of the chain's repositories keeps its image: as a name, a release, or for a run."""
    if run := tags.building_run(tag):
        return run not in abandoned
    return not tags.is_bookkeeping(tag) or (tags.is_release(tag) and tag >= oldest)


def _oldest(releases: Releases, tiers: Collection[Tier], count: int) -> str:
    """The oldest release to keep; empty where there is none."""
    if not releases.all:
        return ""
    current = releases.current(tiers) or releases.all[-1]
    return releases.all[max(releases.all.index(current) - count + 1, 0)]


def _is_old(tag: str, oldest: str, notes: Iterator[str]) -> bool:
    """Say whether an image that stays loses a release's tag; its last note it keeps, lest it have no name."""
    return tags.is_release(tag) and tag < oldest and any(tags.is_content(note) for note in notes)


def _ancestors(of: Collection[str], parents: Mapping[str, str]) -> Iterator[str]:
    for image in tuple(of):
        parent = parents.get(image)
        while parent is not None:
            yield parent
            parent = parents.get(parent)


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


def find_garbage(
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
    needs = Needs(keep, engine.containers.sources(), wanted, provenance.parents(engine), abandoned)
    repositories = {each for their in mine.values() for each in their}
    images_ = own_images(engine, chain, home, names)
    images_ += own_images(engine, chain, home, names, called=home.former) if home.former else []
    pruning = plan_prune(images_, tiers, repositories, names, needs)
    gone = {each.id for each in pruning.images}
    left = [*mounted_python.needless_interpreters(engine, gone), *mounted_python.needless_caches(engine, gone)]
    return Garbage(
        pruning,
        tuple(abandoned),
        tuple(left),
        provenance.freed(engine, pruning.images) + engine.volumes.sizes(left),
    )


def remove_garbage(engine: Engine, chain: str, home: Home, garbage: Garbage) -> None:
    """Remove it. What somebody has begun to use meanwhile stays.

    Args:
        engine: The engine.
        chain: The chain's name.
        home: Where it lives.
        garbage: What :func:`find_garbage` has found.

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
        going = before - _below(provenance.parents(engine), before)
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
