# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges the candidates that a run tried, from the results of its tiers.

A tier says yes to a candidate only if it was built upon exactly this image and passed its tests there, and no only if
the tier itself failed. In all other cases it says nothing: if its build was interrupted, if the engine failed, or if
``--limit`` excludes a tier in between. A missing verdict is repeated sooner or later, and a wrong one is believed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping

import msgspec

from ..chain.tier import Tier
from ..handover.tried_record import read_tried
from ..handover.verdicts import ConsumerVerdict
from ..plan.decision import Action
from ..state.journal import Journal
from ..state.plan_records import Planned, read_plans
from ..state.tier_records import RejectedTest, read_disturbance, read_tested
from ..tier_build.failure import last_failed_task

#: Returns the ID of the image that an image was built on, by its own ID; ``None`` if this is not known.
FindParent = Callable[[str], str | None]


class Answer(enum.StrEnum):
    """What a tier says about the candidates of a run."""

    YES = "yes"
    NO = "no"
    NOTHING = "nothing"


class Judgement(msgspec.Struct, frozen=True):
    """What a tier says about the candidates of a run, and why."""

    tier: Tier
    answer: Answer
    #: ID of its image; ``None`` unless it says yes.
    image: str | None = None
    #: Number of tests that ran.
    tests: int = 0
    #: Why it does not say yes.
    reason: str = ""
    failed: tuple[RejectedTest, ...] = ()


def judge(journal: Journal, find_parent: FindParent) -> dict[str, Judgement]:
    """Judge for each tier that depends on a candidate, directly or through other tiers.

    Args:
        journal: The journal of the run.
        find_parent: Finds what the tiers' images were built on.

    Returns:
        The judgements, parents and neighbours before the tiers that need them. Tiers that ``--limit`` excludes are
        missing.

    Raises:
        RunError: The run has ended.
    """
    chain, planned = read_plans(journal)
    involved = {name for followed, _tried in read_tried(journal) for name in chain.dependents(followed)}
    judgements: dict[str, Judgement] = {}
    for name in chain.order:
        if name in involved and planned[name].action is not Action.LEAVE:
            judgements[name] = _judge(journal, planned, name, judgements, involved, find_parent)
    return judgements


def verdicts(journal: Journal, judgements: Mapping[str, Judgement]) -> Iterator[tuple[Judgement, ConsumerVerdict]]:
    """Yield what tiers say about each new image that they depend on. Tiers that say nothing are skipped.

    Args:
        journal: The journal of the run.
        judgements: The result of :func:`judge`.
    """
    chain, _planned = read_plans(journal)
    for followed, tried in read_tried(journal):
        dependents = set(chain.dependents(followed))
        for name, judgement in judgements.items():
            if name in dependents and judgement.answer is not Answer.NOTHING:
                for image in tried.images:
                    yield judgement, _verdict(judgement, image.image, image.digest)


def passed_images(journal: Journal, judgements: Mapping[str, Judgement]) -> dict[str, str]:
    """Return the IDs of the images that were built upon a candidate and passed, by tier. Others can try these next."""
    chain, _planned = read_plans(journal)
    tried = {name for name, _images in read_tried(journal)}
    return {
        name: judgement.image
        for name, judgement in judgements.items()
        if judgement.image is not None and tried.intersection(chain.ancestors(name))
    }


def _judge(
    journal: Journal,
    planned: Mapping[str, Planned],
    name: str,
    before: Mapping[str, Judgement],
    involved: set[str],
    find_parent: FindParent,
) -> Judgement:
    plan, tier = planned[name], planned[name].tier
    for needed in (*([tier.parent] if tier.parent else []), *tier.neighbours):
        if needed not in involved:
            continue
        if needed not in before:
            return Judgement(tier, Answer.NOTHING, reason=f"--limit excludes tier {needed!r}, which it needs")
        if (other := before[needed]).answer is not Answer.YES:
            how = "is based on" if needed == tier.parent else "is tested with"
            reason = f"it {how} tier {needed!r}, which says {other.answer}: {other.reason}"
            return Judgement(tier, other.answer, tests=other.tests, reason=reason, failed=other.failed)
    outcome = journal.outcome(name) if plan.runs else None
    image = outcome.image if outcome else None if plan.runs else plan.image
    if image is None:
        return _explain_failure(journal, tier, outcome.reason if outcome else None)
    parent = _image_of(journal, planned[tier.parent]) if tier.parent else None
    if parent is not None and find_parent(image) != parent:
        return Judgement(tier, Answer.NOTHING, reason="its image was built on a different image of its parent")
    tested = read_tested(journal, name)
    return Judgement(tier, Answer.YES, image, tests=tested.tests if tested else 0)


def _image_of(journal: Journal, plan: Planned) -> str | None:
    """Return the ID of a tier's image after the run; ``None`` if it has none."""
    outcome = journal.outcome(plan.tier.name) if plan.runs else None
    return outcome.image if outcome else plan.image


def _explain_failure(journal: Journal, tier: Tier, reason: str | None) -> Judgement:
    if reason is None:
        return Judgement(tier, Answer.NOTHING, reason="the run ended before the tier was finished")
    disturbance = read_disturbance(journal, tier.name)
    if disturbance is not None:
        return Judgement(tier, Answer.NOTHING, reason=f"something else failed: {disturbance}")
    tested, task = read_tested(journal, tier.name), last_failed_task(journal, tier.name)
    if tested is not None and not tested.passed:
        return Judgement(tier, Answer.NO, tests=tested.tests, reason=reason, failed=tested.failed)
    return Judgement(tier, Answer.NO, reason="\n".join([reason, *(task.said[1:] if task else ())]))


def _verdict(judgement: Judgement, image: str, digest: str) -> ConsumerVerdict:
    return ConsumerVerdict(
        image=image,
        digest=digest,
        tier=judgement.tier.name,
        team=judgement.tier.team,
        passed=judgement.answer is Answer.YES,
        tests=judgement.tests,
        problem=judgement.reason,
        failed=judgement.failed,
    )
