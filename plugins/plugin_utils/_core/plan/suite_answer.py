# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tests of one tier, as a playbook tells them to ``tierwright test``."""

from __future__ import annotations

from dataclasses import dataclass

from ..contract.gate import GateSubject
from ..contract.role_tests import Suite
from ..engine.engine import Engine
from ..errors import NotFoundError
from ..image import labels


@dataclass(frozen=True, slots=True)
class SuiteAnswer:
    """The tests of a tier, and the images that they need."""

    tier: str
    suite: Suite
    #: The release of the tier.
    release: str
    #: The releases of its neighbours, by tier.
    neighbours: dict[str, str]


def subject_of(engine: Engine, answer: SuiteAnswer, image: str | None) -> GateSubject:
    """Find the images for the tests of a tier.

    Args:
        engine: The engine.
        answer: The tests.
        image: The image to test; ``None`` for the released one.

    Raises:
        NotFoundError: The engine does not have the image, or it is an image of a different tier.
        EngineError: The engine does not answer.
    """
    reference = image or answer.release
    found = engine.images.find(reference)
    if found is None or found.labels.get(labels.TIER) != answer.tier:
        what = "does not exist" if found is None else f"is an image of tier {found.labels.get(labels.TIER)!r}"
        raise NotFoundError(
            f"tier {answer.tier!r}: the image {reference} {what}; build it: ansible-playbook build-chain.yml "
            f"--limit {answer.tier}"
        )
    neighbours = {
        name: each for name, reference in answer.neighbours.items() if (each := engine.images.find(reference))
    }
    missing = tuple(name for name in answer.neighbours if name not in neighbours)
    return GateSubject(answer.tier, found.id, {name: each.id for name, each in neighbours.items()}, "", missing)
