# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bringing a chain back to an earlier release, or forward again to a later one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..chain import tags
from ..chain.graph import Chain
from ..chain.tier import Tier
from ..engine.inspection import Names
from ..errors import RunError
from .promotion import Releases, release_moves
from .tag_transaction import Move

_LISTED = 10


@dataclass(frozen=True, slots=True)
class TagChange:
    """What becomes of one tier's release tag."""

    tier: Tier
    #: ID of the image that it named; ``None`` where there was no such tag.
    was: str | None
    #: ID of the image that it names then.
    now: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """What brings some tiers to a release."""

    #: The release.
    release: str
    #: The tiers whose release tag moves, parents before children.
    changes: tuple[TagChange, ...]
    #: Everything that moves.
    moves: tuple[Move, ...]


def plan_rollback(
    chain: Chain, selected: Collection[str], names: Names, release: str | None, moment: datetime
) -> Rollback:
    """Say what brings the selected tiers to a release. A tier that came later stays as it is.

    Args:
        chain: The chain.
        selected: Names of the tiers to bring there.
        names: Image IDs by tag, by repository.
        release: The release's tag; ``None`` for the one before the current one, but for those that were taken back.
        moment: Now.

    Raises:
        RunError: There is no such release, or none before the current one.
    """
    tiers = [chain[name] for name in selected]
    releases = Releases((tier.image for tier in tiers), names)
    target = release or _before(releases, tiers)
    known = Releases((tier.image for tier in chain), names).all
    if target not in known:
        raise RunError(f"tier_release is {release!r}, which is no release of this chain; {_told(known)}")
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


def _before(releases: Releases, tiers: Sequence[Tier]) -> str:
    if not releases.all:
        raise RunError("there is no release to go back to yet; building the chain makes one")
    current = releases.current(tiers)
    if current is None:
        raise RunError(
            "the release tags are not those of one release, so none is the one before; "
            f"say which one is wanted with -e tier_release=…; {_told(releases.all)}"
        )
    now = {tier.image: releases.named(tier.image, tier.tag) for tier in tiers}
    for release in reversed(releases.all[: releases.all.index(current)]):
        at = {repository: releases.at(repository, release) for repository in now}
        others = [(repository, image) for repository, image in at.items() if image not in {None, now[repository]}]
        if others and not any(_is_withdrawn(releases, repository, image) for repository, image in others):
            return release
    raise RunError(f"there is no release before {current} to go back to; {_told(releases.all)}")


def _is_withdrawn(releases: Releases, repository: str, image: str | None) -> bool:
    return any(tags.is_withdrawn(tag) for tag in releases.notes(repository, image or ""))


def _withdrawals(releases: Releases, changes: Sequence[TagChange], target: str, moment: datetime) -> Iterator[Move]:
    """Yield the moves of the tags that say what is taken back: what was released after ``target``."""
    back = []
    for change in changes:
        released = [tag for tag in releases.notes(change.tier.image, change.was or "") if tags.is_release(tag)]
        if change.was is not None and released and max(released) > target:
            back.append((change.tier.image, change.was))
    while any(releases.named(repository, tags.withdrawn(moment)) for repository, _image in back):
        moment += timedelta(seconds=1)
    for repository, image in back:
        yield Move(repository, tags.withdrawn(moment), None, image)


def _told(releases: Sequence[str]) -> str:
    if not releases:
        return "there are none yet"
    older = f" and {len(releases) - _LISTED} older ones" if len(releases) > _LISTED else ""
    return f"there are {', '.join(reversed(releases[-_LISTED:]))}{older}"
