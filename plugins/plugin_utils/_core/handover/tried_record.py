# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of the candidates of other teams that a run tries. :mod:`.tried_images` finds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from ..state.journal import Journal

if TYPE_CHECKING:
    from .lock_file import LockedTier

_KIND = "tried"


class NewImage(msgspec.Struct, frozen=True):
    """An image that a run tries: the candidate itself, or an ancestor of it that is new, too."""

    tier: str
    #: ``registry.example.org/operations/corebuild``.
    image: str
    #: The digest of its manifest.
    digest: str


class TriedImage(msgspec.Struct, frozen=True):
    """What a run tries in place of a locked image."""

    #: The images that a verdict is about, the candidate first.
    images: tuple[NewImage, ...]


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
