# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tags that hold a run's images, and candidates before their tests.

What keeps a run's new images while it goes on: a tag for each run, which others have no reason to take away.

Equal inputs give one image, whoever builds it. So two runs may have made the same one, and it may go when both have let
go of it, and not before: the engine removes an image with its last name.

Candidates: images that a run made or found for its tiers, before it is known whether they pass.

A candidate that was made has no name but the one that its run holds it by (:mod:`.candidates`); so nothing can take it
for
more than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..build_key.parts import content_tag
from ..chain import tags
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import Image, Names
from ..errors import EngineError
from ..image import labels
from ..layer.build_memory import note_built
from ..plan.decision import find_own
from ..state.journal import Journal

_SEALING = "sealing"
_KINDS = (_SEALING, "candidate")


def hold(engine: Engine, journal: Journal, tier: Tier, make: Callable[[], Image]) -> Image:
    """Make an image of ``tier`` that nobody takes away from this run.

    Args:
        engine: The engine.
        journal: The run.
        tier: The tier.
        make: Makes it; :func:`announce` tells of it before the engine has it.

    Raises:
        EngineError: The engine refused.
        TierwrightError: As ``make`` does.
    """
    image = make()
    try:
        engine.images.tag(image.id, tier.image, tags.building(journal.run))
    except EngineError:
        if engine.images.find(image.id) is not None:
            raise
        image = make()  # another run that had made the same let go of it a moment ago
        engine.images.tag(image.id, tier.image, tags.building(journal.run))
    return image


def announce(journal: Journal, tier: str, image: str) -> None:
    """Record the ID of an image that the engine is going to have, and that has no name yet."""
    journal.write(_SEALING, tier, {"image": image})


def let_go(engine: Engine, journal: Journal, tier: Tier) -> None:
    """Let go of the image that a run made of ``tier``; it goes, unless it has got another name.

    Raises:
        EngineError: The engine refused.
    """
    engine.images.remove(f"{tier.image}:{tags.building(journal.run)}")
    _remove_nameless(engine, journal, tier.name)


def let_all_go(engine: Engine, journal: Journal) -> None:
    """Let go of all images that a run made.

    Raises:
        EngineError: The engine refused.
    """
    untag(engine, journal.run, engine.images.snapshot().names)
    for tier in {tier for kind in _KINDS for tier in journal.recorded(kind)}:
        _remove_nameless(engine, journal, tier)


def untag(engine: Engine, run: str, names: Names) -> None:
    """Take away the tags that ``run`` holds images by, of some names on the engine.

    Raises:
        EngineError: The engine refused.
    """
    for repository, named in names.items():
        if tags.building(run) in named:
            engine.images.remove(f"{repository}:{tags.building(run)}")


def holding(named: Iterable[str]) -> Iterator[str]:
    """Yield the runs that hold images in a repository, by its tags."""
    return (run for tag in named if (run := tags.building_run(tag)))


def _remove_nameless(engine: Engine, journal: Journal, tier: str) -> None:
    """Remove what was announced, and got no name because the run was killed at that moment."""
    for kind in _KINDS:
        told = journal.read(kind, tier)
        found = engine.images.find(told["image"]) if told else None
        if found is not None and not found.tags:
            engine.images.remove(found.id)


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
