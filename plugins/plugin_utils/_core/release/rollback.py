# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans a rollback: the moves of release tags to an earlier release, or forward again to a later one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from ..chain import tags
from ..chain.graph import Chain
from ..chain.tier import Tier
from ..engine.inspection import Names
from ..errors import RunError
from .promotion import Releases, release_moves
from .tag_transaction import Move

#: The largest number of releases that a message lists.
_MAX_LISTED = 10


class TagChange(msgspec.Struct, frozen=True):
    """The move of one tier's release tag."""

    tier: Tier
    #: ID of the image that the tag names before; ``None`` if there is no such tag.
    was: str | None
    #: ID of the image that the tag names afterwards.
    now: str


class Rollback(msgspec.Struct, frozen=True):
    """The plan of a rollback."""

    #: The target: the tag of a release.
    release: str
    #: The tiers whose release tag moves, parents before children.
    changes: tuple[TagChange, ...]
    #: The moves of all tags, including ``previous`` and ``withdrawn-…``.
    moves: tuple[Move, ...]


def plan_rollback(
    chain: Chain, selected: Collection[str], names: Names, release: str | None, moment: datetime
) -> Rollback:
    """Plan the moves of the selected tiers to a release. Tiers that were first released later stay as they are.

    Args:
        chain: The chain.
        selected: Names of the tiers to roll back.
        names: Image IDs by tag, by repository.
        release: The tag of the target; ``None`` for the release before the current one, without withdrawn releases.
        moment: The current time.

    Raises:
        RunError: The release does not exist, or there is no release before the current one.
    """
    tiers = [chain[name] for name in selected]
    releases = Releases((tier.image for tier in tiers), names)
    target = release or _previous_release(releases, tiers)
    existing = Releases((tier.image for tier in chain), names).all
    if target not in existing:
        raise RunError(f"tier_release is {release!r}, but this chain has no such release; {_list_releases(existing)}")
    changes = []
    for tier in tiers:
        was, now = releases.named(tier.image, tier.tag), releases.at(tier.image, target)
        if now is not None and now != was:
            changes.append(TagChange(tier, was, now))
    return Rollback(
        target,
        tuple(changes),
        (
            *_withdrawals(releases, changes, target, moment),
            *release_moves(releases, [(change.tier, change.now) for change in changes]),
        ),
    )


def _previous_release(releases: Releases, tiers: Sequence[Tier]) -> str:
    if not releases.all:
        raise RunError("there is no release to go back to yet; build the chain to make the first one")
    current = releases.current(tiers)
    if current is None:
        raise RunError(
            "the release tags do not all belong to the same release, so no release is the previous one; "
            f"name a release with -e tier_release=…; {_list_releases(releases.all)}"
        )
    now = {tier.image: releases.named(tier.image, tier.tag) for tier in tiers}
    for release in reversed(releases.all[: releases.all.index(current)]):
        at = {repository: releases.at(repository, release) for repository in now}
        others = [(repository, image) for repository, image in at.items() if image not in {None, now[repository]}]
        if others and not any(_is_withdrawn(releases, repository, image) for repository, image in others):
            return release
    raise RunError(f"there is no release before {current} to go back to; {_list_releases(releases.all)}")


def _is_withdrawn(releases: Releases, repository: str, image: str | None) -> bool:
    return any(tags.is_withdrawn(tag) for tag in releases.notes(repository, image or ""))


def _withdrawals(releases: Releases, changes: Sequence[TagChange], target: str, moment: datetime) -> Iterator[Move]:
    """Yield the moves that add the tag ``withdrawn-…`` to the images that were released after ``target``."""
    withdrawn = []
    for change in changes:
        release_tags = [tag for tag in releases.notes(change.tier.image, change.was or "") if tags.is_release(tag)]
        if change.was is not None and release_tags and max(release_tags) > target:
            withdrawn.append((change.tier.image, change.was))
    while any(releases.named(repository, tags.withdrawn(moment)) for repository, _image in withdrawn):
        moment += timedelta(seconds=1)
    for repository, image in withdrawn:
        yield Move(repository, tags.withdrawn(moment), None, image)


def _list_releases(releases: Sequence[str]) -> str:
    if not releases:
        return "it has no releases yet"
    older = f" and {len(releases) - _MAX_LISTED} older ones" if len(releases) > _MAX_LISTED else ""
    return f"the releases are {', '.join(reversed(releases[-_MAX_LISTED:]))}{older}"
