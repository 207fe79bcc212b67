# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prunes a chain: removes its images that nothing needs any more. Also removes a whole chain from an engine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from ..chain import tags
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import Names
from ..image import provenance
from ..image.provenance import ChainImage
from ..interpreter import mounted_python
from ..state.claim import check_claim, followed_images, own_images, own_repositories, remove_claim
from ..state.kept_builds import KeptBuild
from ..state.lock import Waiting, begin_exclusive_run
from ..state.owner import Home
from ..tier_build.candidates import remove_holds
from ..tier_build.cleanup import abandoned_runs, clear_ended_runs, clear_run
from ..tier_build.keeping import discard, discardable
from .promotion import Releases
from .tag_transaction import Move, move_all, recover

#: The number of releases that are kept by default.
KEEP_RELEASES = 3


class Needs(msgspec.Struct, frozen=True):
    """Which images are needed, apart from those with names that users gave."""

    #: How many releases to keep, including the current one. Releases that a rollback withdrew are newer, and kept too.
    releases: int
    #: IDs of the images that containers were made from.
    used: Collection[str]
    #: IDs of the images that the next run would keep.
    wanted: Collection[str]
    #: By image ID, the ID of the image that it is based on.
    parents: Mapping[str, str]
    #: IDs of abandoned runs that still hold images.
    abandoned: Collection[str] = ()


class Pruning(msgspec.Struct, frozen=True):
    """The images and tags to remove."""

    #: The images.
    images: tuple[ChainImage, ...]
    #: The moves of tags: they remove the tags of these images, and the tags of releases that are not kept.
    moves: tuple[Move, ...]

    @property
    def dropped_releases(self) -> list[str]:
        """The releases that do not exist any more afterwards."""
        kept = {move.tag for move in self.moves if move.after}
        return sorted({move.tag for move in self.moves if tags.is_release(move.tag)} - kept)


def plan_prune(
    own: Sequence[ChainImage], tiers: Collection[Tier], repositories: Collection[str], names: Names, needs: Needs
) -> Pruning:
    """Plan which of a chain's own images to remove, and which tags in the repositories of its tiers.

    The tag of the oldest kept release is added to all images of that release, so that the release is complete without
    older ones.

    Args:
        own: All images of the chain.
        tiers: The tiers of the chain.
        repositories: The repositories of its current and former tiers.
        names: Image IDs by tag, by repository.
        needs: Which other images are needed.
    """
    own_ids = {image.id for image in own}
    releases = Releases((*repositories, *(tier.image for tier in tiers)), names)
    oldest = _oldest_kept(releases, tiers, needs.releases)
    at_oldest = {repository: image for repository in repositories if (image := releases.at(repository, oldest))}
    failed = {image for named in names.values() for tag, image in named.items() if tags.is_failed(tag)}
    needed = {*needs.used, *(set(needs.wanted) - failed), *at_oldest.values(), *(needs.parents.keys() - own_ids)}
    needed.update(
        image
        for repository, named in names.items()
        for tag, image in named.items()
        if repository not in repositories or _protects(tag, oldest, needs.abandoned)
    )
    needed.update(_ancestors(needed, needs.parents))
    return Pruning(
        tuple(image for image in own if image.id not in needed),
        (
            *(
                Move(repository, oldest, None, image)
                for repository, image in at_oldest.items()
                if image in own_ids and releases.named(repository, oldest) is None
            ),
            *(
                Move(repository, tag, image, None)
                for repository in repositories
                for tag, image in names.get(repository, {}).items()
                if image in own_ids and (image not in needed or _is_old(tag, oldest, releases.notes(repository, image)))
            ),
        ),
    )


def _protects(tag: str, oldest: str, abandoned: Collection[str]) -> bool:
    """Say whether a tag protects its image: a user's name, the tag of a kept release, or the tag of an active run."""
    if run := tags.building_run(tag):
        return run not in abandoned
    return not tags.is_bookkeeping(tag) or (tags.is_release(tag) and tag >= oldest)


def _oldest_kept(releases: Releases, tiers: Collection[Tier], count: int) -> str:
    """Return the oldest release to keep; empty if there is no release."""
    if not releases.all:
        return ""
    current = releases.current(tiers) or releases.all[-1]
    return releases.all[max(releases.all.index(current) - count + 1, 0)]


def _is_old(tag: str, oldest: str, notes: Iterator[str]) -> bool:
    """Say whether a kept image loses the tag of an old release. An image without a content tag needs it as a name."""
    return tags.is_release(tag) and tag < oldest and any(tags.is_content(note) for note in notes)


def _ancestors(images: Collection[str], parents: Mapping[str, str]) -> Iterator[str]:
    for image_id in tuple(images):
        parent_id = parents.get(image_id)
        while parent_id is not None:
            yield parent_id
            parent_id = parents.get(parent_id)


class Garbage(msgspec.Struct, frozen=True):
    """Everything of a chain on an engine that can be removed."""

    #: Images, and tags of releases.
    pruning: Pruning
    #: IDs of abandoned runs that left build containers or tags.
    runs: tuple[str, ...]
    #: Names of the volumes of mounted Pythons and of package caches.
    volumes: tuple[str, ...]
    #: Size of the images and volumes in bytes.
    size: int
    #: Failed builds whose containers were kept.
    kept: tuple[KeptBuild, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pruning.images or self.pruning.moves or self.runs or self.volumes or self.kept)


def find_garbage(
    engine: Engine,
    chain: str,
    tiers: Collection[Tier],
    home: Home,
    *,
    keep: int,
    wanted: Collection[str],
) -> Garbage:
    """Find everything that can be removed. Nothing is changed.

    Args:
        engine: The engine.
        chain: The chain's name.
        tiers: Its tiers.
        home: Its project, with its former name.
        keep: How many releases to keep.
        wanted: IDs of the images that the next run would keep.

    Raises:
        EngineError: The engine rejected a request.
    """
    names, by_tier = engine.images.snapshot().names, own_repositories(chain, home)
    abandoned = abandoned_runs(engine, chain, by_tier, names)
    needs = Needs(keep, engine.containers.sources(), wanted, provenance.parents(engine), abandoned)
    repositories = {repository for of_tier in by_tier.values() for repository in of_tier}
    own = own_images(engine, chain, home, names)
    own += own_images(engine, chain, home, names, former=home.former) if home.former else []
    followed = followed_images(engine, chain, tiers, names)
    repositories |= {tier.image for tier in tiers if tier.name in {image.tier for image in followed} and tier.followed}
    own += followed
    pruning = plan_prune(own, tiers, repositories, names, needs)
    pruned = {image.id for image in pruning.images}
    volumes = [*mounted_python.unused_interpreters(engine, pruned), *mounted_python.unused_caches(engine, pruned)]
    size = provenance.freed(engine, pruning.images) + engine.volumes.sizes(volumes)
    return Garbage(pruning, tuple(abandoned), tuple(volumes), size, discardable(chain))


def remove_garbage(engine: Engine, chain: str, home: Home, garbage: Garbage) -> None:
    """Remove garbage. Things that somebody began to use meanwhile stay.

    Args:
        engine: The engine.
        chain: The chain's name.
        home: Its project.
        garbage: The result of :func:`find_garbage`.

    Raises:
        EngineError: The engine rejected a request.
    """
    for kept in garbage.kept:
        discard(engine, kept)
    for run in garbage.runs:
        clear_run(engine, run)
    move_all(engine, chain, garbage.pruning.moves)
    repositories = {repository for of_tier in own_repositories(chain, home).values() for repository in of_tier}
    all_names = engine.images.snapshot().names
    names = {repository: named for repository, named in all_names.items() if repository in repositories}
    for run in garbage.runs:
        remove_holds(engine, run, names)
    for image in garbage.pruning.images:
        engine.images.remove(image.id)  # an image that had a name is removed already, with its last name
    for volume in garbage.volumes:
        engine.volumes.remove(volume)


def remove_chain(engine: Engine, chain: str, home: Home, command: str, waiting: Waiting) -> list[str]:
    """Remove all images of a chain with all their names, and the temporary things that its killed runs left.

    Images stay if images of other chains are based on them, or if a container was made from them.

    Args:
        engine: The engine.
        chain: The chain's name.
        home: Its project.
        command: The command of this process, which waiting runs print.
        waiting: How to wait for an active run over the chain.

    Returns:
        IDs of the removed images.

    Raises:
        RunError: Another project has a chain with this name, or the other run was still active after the timeout.
        EngineError: The engine rejected a request.
    """
    check_claim(engine, chain, home)
    journal = begin_exclusive_run(chain, command, waiting)
    try:
        recover(engine, chain, lambda _line: None)  # nothing to print: these tags are removed next
        clear_ended_runs(engine, chain, but=journal)
        for kept in discardable(chain):
            discard(engine, kept)
        own = _own_ids(engine, chain, home)
        removable = own - _find_needed(provenance.parents(engine), own)
        for repository, named in engine.images.snapshot().names.items():
            for tag, image_id in named.items():
                if image_id in removable:
                    engine.images.remove(f"{repository}:{tag}")
        for image_id in removable:
            engine.images.remove(image_id)
        left = _own_ids(engine, chain, home)
        if not left and not (home.former and _own_ids(engine, chain, home, former=home.former)):
            remove_claim(engine, chain)
        return sorted(removable - left)
    finally:
        journal.end()


def _own_ids(engine: Engine, chain: str, home: Home, *, former: str = "") -> set[str]:
    names = engine.images.snapshot().names
    return {image.id for image in own_images(engine, chain, home, names, former=former)}


def _find_needed(parents: Mapping[str, str], own: Collection[str]) -> set[str]:
    """Find all ancestors of the images that do not belong to the chain."""
    needed: set[str] = set()
    for image_id in parents.keys() - own:
        parent_id = parents.get(image_id)
        while parent_id is not None and parent_id not in needed:
            needed.add(parent_id)
            parent_id = parents.get(parent_id)
    return needed
