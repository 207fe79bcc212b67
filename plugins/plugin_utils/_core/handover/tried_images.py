# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the candidates of other teams, which a run tries in place of the locked images of followed tiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from ..chain import tags
from ..chain.names import split_registry
from ..chain.tier import Follow, Tier
from .followed_image import ConnectToRead, look_up
from .lock_file import LockedTier
from .published_image import read_published


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
