# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which images of a chain nothing needs any more, and what goes with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..chain import tags
from ..chain.tier import Tier
from ..engine.snapshot import Names
from ..image.own import Own
from .moves import Move
from .releases import Releases

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
