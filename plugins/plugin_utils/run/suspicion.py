# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What changed since the last release, of all that an image under test stands on and runs with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..chain.graph import Chain
from ..engine.engine import Engine
from ..image import labels
from ..keys.parts import Parts
from ..keys.reasons import differences
from .plan import find_own

#: Differences of one tier that are told, at most.
_LINES = 6


def suspects(engine: Engine, chain: Chain, tested: str, neighbours: Mapping[str, str]) -> Iterator[str]:
    """Yield what differs from the releases: ``httpd-php: role httpd_php/tasks/install.yml changed``.

    Args:
        engine: The engine.
        chain: The chain.
        tested: ID of the image under test.
        neighbours: IDs of the images that it was tested with, by tier.

    Raises:
        EngineError: The engine does not answer.
    """
    seen: set[str] = set()
    for first in (tested, *neighbours.values()):
        image: str | None = first
        while image is not None and image not in seen:
            seen.add(image)
            found = engine.images.find(image)
            if found is None or (name := found.labels.get(labels.TIER, "")) not in chain:
                break
            release = find_own(engine.images.find, chain[name], chain[name].release)
            if release is None:
                yield f"{name}: it was never released"
            elif release.id != found.id:
                for line in _changed(release.labels, found.labels, name):
                    yield f"{name}: {line}"
            image = found.labels.get(labels.PARENT)


def _changed(before: Mapping[str, str], now: Mapping[str, str], tier: str) -> Iterator[str]:
    """What differs between two images of a tier, but for the image that they stand on."""
    old, new = _own(before, tier), _own(now, tier)
    yield from differences(old, new, most=_LINES)


def _own(said: Mapping[str, str], tier: str) -> Parts:
    return {name: value for name, value in (labels.stored_parts(said, tier) or {}).items() if name != "parent"}
