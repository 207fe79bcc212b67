# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps a run's new images while it goes on: a tag for each run, which others have no reason to take away.

Equal inputs give one image, whoever builds it. So two runs may have made the same one, and it may go when both have let
go of it, and not before: the engine removes an image with its last name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..chain import tags
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.image import Image
from ..engine.snapshot import Names
from ..errors import EngineError
from .journal import Journal

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
