# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The images for the tests of one tier that ``tierwright test`` runs."""

from __future__ import annotations

from ..contract.gate import GateSubject
from ..engine.engine import Engine
from ..errors import NotFoundError
from ..image import labels
from .suite_answer import SuiteAnswer


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
    if found is None:
        raise _unusable(answer, reference, "does not exist")
    owner = found.labels.get(labels.TIER)
    if owner != answer.tier:
        raise _unusable(answer, reference, f"is an image of tier {owner!r}")
    neighbours = {
        name: each for name, reference in answer.neighbours.items() if (each := engine.images.find(reference))
    }
    missing = tuple(name for name in answer.neighbours if name not in neighbours)
    return GateSubject(answer.tier, found.id, {name: each.id for name, each in neighbours.items()}, "", missing)


def _unusable(answer: SuiteAnswer, reference: str, reason: str) -> NotFoundError:
    return NotFoundError(
        f"tier {answer.tier!r}: the image {reference} {reason}; build it: ansible-playbook build-chain.yml "
        f"--limit {answer.tier}"
    )
