# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the verdicts of a run that tried candidates, from the results of its tiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..chain.names import split_registry
from ..chain.tier import Tier
from ..handover.tried_images import read_tried
from ..handover.verdicts import ConsumerVerdict
from ..plan.decision import Action
from ..state.journal import Journal
from ..state.plan_records import Planned, read_plans
from ..state.tier_records import read_tested
from ..transports.registry_writer import RegistryWriter
from .tell_verdict import tell_verdict


def tell_verdicts(
    journal: Journal, connect: Callable[[str], RegistryWriter], say: Callable[[str], None]
) -> list[ConsumerVerdict]:
    """Write the verdicts of all tiers that depend on a candidate. Each is written to the tier's own repository.

    Args:
        journal: The journal of the run.
        connect: Returns a registry, by its host.
        say: Called with a line for each verdict.

    Returns:
        The verdicts.

    Raises:
        EngineError: A registry rejected a request, or does not answer.
    """
    told = []
    for tier, verdict in judge(journal):
        place = split_registry(tier.image)
        answer = "yes" if verdict.passed else "no"
        if place is None:
            say(
                f"{tier.name} says {answer} to {verdict.image}, but its tier_image names no registry to publish this in"
            )
            continue
        host, repository = place
        tell_verdict(connect(host), repository, verdict)
        say(f"{tier.name} says {answer} to {verdict.image}@{verdict.digest}")
        told.append(verdict)
    return told


def judge(journal: Journal) -> Iterator[tuple[Tier, ConsumerVerdict]]:
    """Yield the verdict of each tier of a run about each new image that it is based on.

    Raises:
        RunError: The run has ended.
    """
    chain, planned = read_plans(journal)
    for followed, tried in read_tried(journal):
        for name in chain.order:
            if followed not in chain.ancestors(name) or planned[name].action is Action.LEAVE:
                continue
            tier = chain[name]
            for image in tried.images:
                yield tier, _judge(journal, planned[name], image.image, image.digest)


def _judge(journal: Journal, planned: Planned, image: str, digest: str) -> ConsumerVerdict:
    tier, tests = planned.tier, read_tested(journal, planned.tier.name)
    outcome = journal.outcome(tier.name) if planned.runs else None
    passed = bool(outcome.image if outcome else not planned.runs and planned.image)
    reason = outcome.reason if outcome else "it was not built, because the run ended before"
    failed = tests.failed if tests else ()
    return ConsumerVerdict(
        image=image,
        digest=digest,
        tier=tier.name,
        team=tier.team,
        passed=passed,
        tests=tests.tests if tests else 0,
        problem="" if passed else reason,
        failed=() if passed else failed,
    )


def passed_images(journal: Journal) -> dict[str, str]:
    """Return the IDs of the images that passed upon a candidate, by tier. Other teams can try these next."""
    chain, planned = read_plans(journal)
    tried = {name for name, _image in read_tried(journal)}
    images = {}
    for name in chain.order:
        plan, outcome = planned[name], journal.outcome(name)
        image = outcome.image if outcome else plan.image if not plan.runs else None
        if image and plan.action is not Action.LEAVE and tried.intersection(chain.ancestors(name)):
            images[name] = image
    return images
