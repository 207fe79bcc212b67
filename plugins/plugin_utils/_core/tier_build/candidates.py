# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Candidates: the images that a run made or found for its tiers, before they pass their tests.

Each run holds its images by a tag of its own, ``building-…``. Equal inputs give the same image, so two runs can hold
one image. The engine removes an image with its last tag, so the image stays until both runs have removed their tags.
Until a new candidate passes, this is its only tag, and nothing can take it for a tested image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from ..build_key.parts import content_tag
from ..chain import tags
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import Image, Names
from ..errors import EngineError
from ..image import labels
from ..layer.build_memory import note_built
from ..plan.own_images import find_own
from ..state.journal import Journal

_SEALING = "sealing"
_KINDS = (_SEALING, "candidate")


class AnnouncedImage(msgspec.Struct, frozen=True):
    """An image that will soon be in the engine, without a tag at first."""

    #: Its ID.
    image: str


def hold(engine: Engine, journal: Journal, tier: Tier, make: Callable[[], Image]) -> Image:
    """Make an image of ``tier``, and hold it for this run.

    Args:
        engine: The engine.
        journal: The journal of the run.
        tier: The tier.
        make: Makes the image. It calls :func:`announce` before the image is in the engine.

    Raises:
        EngineError: The engine rejected a request.
        TierwrightError: As ``make`` does.
    """
    image = make()
    try:
        engine.images.tag(image.id, tier.image, tags.building(journal.run))
    except EngineError:
        if engine.images.find(image.id) is not None:
            raise
        image = make()  # a different run held the same image, and removed its last tag a moment ago
        engine.images.tag(image.id, tier.image, tags.building(journal.run))
    return image


def announce(journal: Journal, tier: str, image: str) -> None:
    """Record the ID of an image that will soon be in the engine, without a tag at first."""
    journal.write(_SEALING, tier, AnnouncedImage(image))


def drop_hold(engine: Engine, journal: Journal, tier: Tier) -> None:
    """Remove the tag that holds a run's image of ``tier``. Without another tag, the image is removed too.

    Raises:
        EngineError: The engine rejected a request.
    """
    engine.images.remove(f"{tier.image}:{tags.building(journal.run)}")
    _remove_untagged(engine, journal, tier.name)


def drop_all_holds(engine: Engine, journal: Journal) -> None:
    """Remove all tags that hold images for a run. Images without another tag are removed too.

    Raises:
        EngineError: The engine rejected a request.
    """
    remove_holds(engine, journal.run, engine.images.snapshot().names)
    for tier in {tier for kind in _KINDS for tier in journal.recorded(kind)}:
        _remove_untagged(engine, journal, tier)


def remove_holds(engine: Engine, run: str, names: Names) -> None:
    """Remove the tags among ``names`` that hold images for ``run``.

    Raises:
        EngineError: The engine rejected a request.
    """
    for repository, named in names.items():
        if tags.building(run) in named:
            engine.images.remove(f"{repository}:{tags.building(run)}")


def holding_runs(named: Iterable[str]) -> Iterator[str]:
    """Yield the runs that hold images in a repository, according to its tags."""
    return (run for tag in named if (run := tags.building_run(tag)))


def _remove_untagged(engine: Engine, journal: Journal, tier: str) -> None:
    """Remove an announced image that has no tag, because the run was killed before it tagged the image."""
    for kind in _KINDS:
        record = journal.read_record(kind, tier, AnnouncedImage)  # of a candidate, only the image is read
        image = engine.images.find(record.image) if record else None
        if image is not None and not image.tags:
            engine.images.remove(image.id)


_KIND = "candidate"


class Candidate(msgspec.Struct, frozen=True):
    """The image that a tier gets in this run if it passes its tests."""

    #: Its ID.
    image: str
    #: Why it is an earlier image of the tier; empty if it is new.
    reason: str
    #: The content tag that it gets if it passes; ``None`` if it has one already.
    tag: str | None = None


def propose(engine: Engine, journal: Journal, tier: Tier, image: Image) -> Image:
    """Make a finished image the tier's candidate.

    If the released image has the same content, it becomes the candidate instead: the changed inputs made no difference,
    so the children of the tier need no build.

    Returns:
        The candidate.

    Raises:
        EngineError: The engine rejected a request.
    """
    note_built(image.id, *image.layers[-1:])
    released = find_own(engine.images.find, tier, tier.release)
    tag = content_tag(image.labels[labels.KEY])
    if released is not None and released.id != image.id and labels.same(released.labels, image.labels):
        drop_hold(engine, journal, tier)
        note_built(released.id)
        journal.write(_KIND, tier.name, Candidate(released.id, "built, same content as the release", tag))
        return released
    journal.write(_KIND, tier.name, Candidate(image.id, "", tag))
    return image


def propose_kept(engine: Engine, journal: Journal, tier: Tier, image: str, reason: str) -> None:
    """Make an earlier image of the tier its candidate. ``reason`` says why.

    An image that failed its tests before has no content tag yet. It gets one if it passes now.

    Raises:
        EngineError: The image was removed, or the engine does not answer.
    """
    held = hold(engine, journal, tier, lambda: engine.images.get(image))
    failed = any(tags.is_failed(name.rpartition(":")[2]) for name in held.tags)
    tag = content_tag(held.labels[labels.KEY]) if failed else None
    journal.write(_KIND, tier.name, Candidate(image, reason, tag))


def propose_resumed(engine: Engine, journal: Journal, tier: Tier, image: Image) -> None:
    """Make an image of a resumed build the tier's candidate, for its tests only. It never gets a content tag.

    Raises:
        EngineError: The engine rejected a request.
    """
    engine.images.tag(image.id, tier.image, tags.resumed(journal.run))
    reason = f"resumed as {tier.image}:{tags.resumed(journal.run)}, never released"
    journal.write(_KIND, tier.name, Candidate(image.id, reason))


def read(journal: Journal, tier: str) -> Candidate | None:
    """Return the tier's candidate; ``None`` if it has none yet."""
    return journal.read_record(_KIND, tier, Candidate)


def accept(engine: Engine, journal: Journal, tier: Tier) -> None:
    """Give a tier's candidate its content tag, and record it as the outcome, which its children wait for.

    Raises:
        EngineError: The engine rejected a request.
    """
    candidate = read(journal, tier.name)
    if candidate is None:
        return
    if candidate.tag is not None:
        engine.images.tag(candidate.image, tier.image, candidate.tag)
    journal.passed(tier.name, candidate.image, candidate.reason)
