# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Candidates: images that a run made or found for its tiers, before it is known whether they pass.

A candidate that was made has no name but the one that its run holds it by (:mod:`.holds`); so nothing can take it for
more than it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..chain import tags
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.image import Image
from ..image import labels
from ..image.built import note_built
from ..keys.parts import content_tag
from .holds import hold, let_go
from .journal import Journal
from .plan import find_own

_KIND = "candidate"


@dataclass(frozen=True, slots=True)
class Candidate:
    """The image that a tier has in this run, should it pass."""

    #: Its ID.
    image: str
    #: Why it is the one that the tier had; empty if it is new.
    reason: str
    #: The content tag that it gets; ``None`` where it needs none.
    tag: str | None = None


def propose(engine: Engine, journal: Journal, tier: Tier, image: Image) -> Image:
    """Make a finished image the tier's candidate.

    Where the release has the same content, that one becomes it: an image whose inputs changed without making a
    difference is no other image, and its children stay as they are.

    Returns:
        The candidate.

    Raises:
        EngineError: The engine refused.
    """
    note_built(image.id, *image.layers[-1:])
    released = find_own(engine.images.find, tier, tier.release)
    tag = content_tag(image.labels[labels.KEY])
    if released is not None and released.id != image.id and labels.same(released.labels, image.labels):
        let_go(engine, journal, tier)
        note_built(released.id)
        _write(journal, tier.name, Candidate(released.id, "built, the same as before", tag))
        return released
    _write(journal, tier.name, Candidate(image.id, "", tag))
    return image


def propose_kept(engine: Engine, journal: Journal, tier: Tier, image: str, reason: str) -> None:
    """Make an image that the tier had its candidate, and say why.

    One that did not pass before has no content tag yet.

    Raises:
        EngineError: The image is gone, or the engine does not answer.
    """
    found = hold(engine, journal, tier, lambda: engine.images.get(image))
    failed = any(tags.is_failed(name.rpartition(":")[2]) for name in found.tags)
    _write(journal, tier.name, Candidate(image, reason, content_tag(found.labels[labels.KEY]) if failed else None))


def read(journal: Journal, tier: str) -> Candidate | None:
    """The tier's candidate; ``None`` while it has none."""
    content = journal.read(_KIND, tier)
    return None if content is None else Candidate(**content)


def accept(engine: Engine, journal: Journal, tier: Tier) -> None:
    """Give a tier's candidate its content tag and record it as the outcome, which lets its children go on.

    Raises:
        EngineError: The engine refused.
    """
    candidate = read(journal, tier.name)
    if candidate is None:
        return
    if candidate.tag is not None:
        engine.images.tag(candidate.image, tier.image, candidate.tag)
    journal.passed(tier.name, candidate.image, candidate.reason)


def _write(journal: Journal, tier: str, candidate: Candidate) -> None:
    journal.write(_KIND, tier, {"image": candidate.image, "reason": candidate.reason, "tag": candidate.tag})
