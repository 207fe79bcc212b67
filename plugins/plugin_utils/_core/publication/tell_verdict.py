# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells verdicts: writes each to the repository of the tier that says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from ..chain.names import split_registry
from ..handover.verdicts import (
    ARTIFACT,
    LONGEST_NAME,
    MOST_CHARACTERS,
    MOST_TESTS,
    VERDICT,
    ConsumerVerdict,
    verdict_tag,
)
from ..records import encode
from ..state.journal import Journal
from ..state.tier_records import RejectedTest
from ..transports.referrers_writer import Artifact, write_artifact
from ..transports.registry_writer import RegistryWriter
from .judging import Answer, Judgement, verdicts

#: Replaces what is secret in a text.
Mask = Callable[[str], str]


def tell_verdicts(
    journal: Journal,
    judgements: Mapping[str, Judgement],
    connect: Callable[[str], RegistryWriter],
    mask: Mask,
    say: Callable[[str], None],
) -> list[ConsumerVerdict]:
    """Write the verdicts of all tiers that depend on a candidate.

    Args:
        journal: The journal of the run.
        judgements: What the tiers say.
        connect: Returns a registry, by its host.
        mask: Hides secrets: other teams read what tests and tasks print.
        say: Called with a line for each tier and each image.

    Returns:
        The verdicts that were written.

    Raises:
        EngineError: A registry rejected a request, or does not answer.
    """
    told = []
    for judgement in judgements.values():
        if judgement.answer is Answer.NOTHING:
            say(f"{judgement.tier.name} gives no verdict: {judgement.reason}")
    for judgement, verdict in verdicts(journal, judgements):
        place = split_registry(judgement.tier.image)
        answer = f"{judgement.tier.name} says {judgement.answer} to {verdict.image}@{verdict.digest}"
        if place is None:
            say(f"{answer}, but its tier_image names no registry to publish this in")
            continue
        host, repository = place
        tell_verdict(connect(host), repository, _mask_all(verdict, mask))
        say(answer)
        told.append(verdict)
    return told


def tell_verdict(registry: RegistryWriter, repository: str, verdict: ConsumerVerdict) -> None:
    """Write a verdict. It replaces an earlier one about the same image.

    Args:
        registry: The registry.
        repository: The repository of the tier that says it.
        verdict: The verdict. Only its first failed tests are written, and only the ends of long logs.

    Raises:
        EngineError: The registry rejected a request, or does not answer.
    """
    failed = tuple(map(_shorten, verdict.failed[:MOST_TESTS]))
    short = replace(verdict, problem=verdict.problem[:MOST_CHARACTERS], failed=failed)
    content = encode(short, sort_keys=True).encode()
    write_artifact(registry, repository, Artifact(ARTIFACT, {VERDICT: content}, {}), verdict_tag(verdict.digest))


def _mask_all(verdict: ConsumerVerdict, mask: Mask) -> ConsumerVerdict:
    failed = [
        replace(test, test=mask(test.test), message=mask(test.message), log=mask(test.log)) for test in verdict.failed
    ]
    return replace(verdict, problem=mask(verdict.problem), failed=tuple(failed))


def _shorten(test: RejectedTest) -> RejectedTest:
    return replace(
        test,
        test=test.test[:LONGEST_NAME],
        owner=test.owner and test.owner[:LONGEST_NAME],
        tier=test.tier and test.tier[:LONGEST_NAME],
        message=test.message[:MOST_CHARACTERS],
        log=test.log[-MOST_CHARACTERS:],
    )
