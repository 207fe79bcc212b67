# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Candidates of other teams, which a run tries in place of the locked images of followed tiers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..chain import tags
from ..chain.names import split_registry
from ..chain.tier import Follow, Tier
from ..state.journal import Journal
from .followed_image import ConnectToRead, look_up
from .lock_file import LockedTier
from .published_image import read_published

_KIND = "tried"


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image that a run tries: the candidate itself, or an ancestor of it that is new, too."""

    tier: str
    #: ``registry.example.org/operations/corebuild``.
    image: str
    #: The digest of its manifest.
    digest: str


@dataclass(frozen=True, slots=True)
class TriedImage:
    """What a run tries in place of a locked image."""

    #: The images that a verdict is about, the candidate first.
    images: tuple[NewImage, ...]


def find_candidates(
    connect: ConnectToRead, followed: Iterable[Tier], locked: Mapping[str, LockedTier]
) -> dict[str, LockedTier]:
    """Look for candidates that differ from the locked images.

    Args:
        connect: Returns a registry, by its host.
        followed: The followed tiers.
        locked: The locked images, by tier.

    Returns:
        The candidates by tier, as a lock file would name them.

    Raises:
        ChainError: A candidate was published as a different tier.
        NotFoundError: An ancestor of a candidate is missing.
        DamagedError: A document has a different digest.
        EngineError: A registry rejected a request, or does not answer.
    """
    candidates = {}
    for tier in followed:
        image = tier.followed.image if tier.followed else ""
        host, repository = split_registry(image) or ("", "")
        offered = read_published(connect(host), repository, tags.CANDIDATE)
        if offered is not None and offered.manifest != locked[tier.name].digest:
            source = Follow(image=image, tag=tags.CANDIDATE)
            candidate = look_up(connect, replace(tier, source=source)).locked
            if candidate.digest != locked[tier.name].digest:  # the tag can move between the two requests
                candidates[tier.name] = candidate
    return candidates


def note_tried(journal: Journal, candidates: Mapping[str, LockedTier], locked: Mapping[str, LockedTier]) -> None:
    """Record what a run tries. Ancestors that are locked already are not new.

    Args:
        journal: The journal of the run.
        candidates: The candidates, by followed tier.
        locked: The locked images, by followed tier.
    """
    for tier, candidate in candidates.items():
        known = {each.digest for each in locked[tier].ancestors}
        new = [NewImage(each.tier, each.image, each.digest) for each in candidate.ancestors if each.digest not in known]
        tried = TriedImage((NewImage(candidate.tier, candidate.image, candidate.digest), *new))
        journal.write(_KIND, tier, tried)


def is_trial(journal: Journal) -> bool:
    """Say whether a run tries candidates: then a failed tier is an answer, and not an error."""
    return bool(journal.recorded(_KIND))


def read_tried(journal: Journal) -> Iterator[tuple[str, TriedImage]]:
    """Yield what a run tries, by followed tier."""
    for tier in journal.recorded(_KIND):
        tried = journal.read_record(_KIND, tier, TriedImage)
        if tried is not None:
            yield tier, tried
