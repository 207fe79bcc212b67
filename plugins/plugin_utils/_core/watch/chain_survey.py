# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares the followed tiers of a chain with what their teams have released, and offer as candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..chain.graph import Chain
from ..chain.names import split_registry
from ..chain.tier import Tier
from ..errors import ChainError, TierwrightError
from ..handover.followed_image import ConnectToRead, look_up
from ..handover.lock_file import LockedTier
from ..handover.tried_images import find_candidates
from ..handover.verdicts import read_verdict
from ..text import short
from .survey import WorkKind, WorkNeed


@dataclass
class ChainState:
    """What is known about the followed tiers of a chain."""

    needs: list[WorkNeed] = field(default_factory=list)
    #: Why something is not known, one sentence each.
    problems: list[str] = field(default_factory=list)


def survey_releases(
    name: str, followed: Sequence[Tier], locked: Mapping[str, LockedTier], connect: ConnectToRead
) -> ChainState:
    """Compare the locked images of followed tiers with those that their tags name now.

    Args:
        name: The chain.
        followed: The followed tiers.
        locked: What the lock files name, by tier. Tiers that are not locked yet are missing.
        connect: Returns a registry, by its host.

    Raises:
        ChainError: A tag names an image that cannot be followed.
    """
    subject, reasons, state = {}, [], ChainState()
    for tier in followed:
        before = locked.get(tier.name)
        with _noting_problems(state):
            now = look_up(connect, tier).locked
            subject[tier.name] = f"{now.digest} with {now.attachment}" if now.attachment else now.digest
            if now != before:
                was = f"locked is {short(before.digest)}" if before else "not locked yet"
                reasons.append(f"{tier.name}: {now.image}:{now.tag} is {short(now.digest)}, {was}")
    if not state.problems and subject:  # all are locked together
        state.needs.append(WorkNeed(WorkKind.FOLLOW, name, subject, tuple(reasons)))
    return state


def survey_candidates(name: str, chain: Chain, locked: Mapping[str, LockedTier], connect: ConnectToRead) -> ChainState:
    """Find the candidates about which this chain has not published its verdicts.

    Args:
        name: The name of the chain.
        chain: The chain.
        locked: What the lock files name, by tier.
        connect: Returns a registry, by its host.

    Raises:
        ChainError: A candidate cannot be followed.
    """
    subject, reasons, state = {}, [], ChainState()
    for tier in chain:
        if tier.followed is None:
            continue
        if tier.name not in locked:
            state.problems.append(
                f"tier {tier.name!r} is not locked yet, so its candidates cannot be tried; run `tierwright update`"
            )
            continue
        with _noting_problems(state):
            for candidate in find_candidates(connect, [tier], locked).values():
                subject[tier.name] = candidate.digest
                if silent := _without_verdict(chain, tier, candidate.digest, connect):
                    reasons.append(
                        f"{tier.name}: the candidate of {candidate.image} is {short(candidate.digest)}, and there is "
                        f"no verdict of {', '.join(silent)}"
                    )
    if subject:
        state.needs.append(WorkNeed(WorkKind.TRY, name, subject, tuple(reasons)))
    return state


def _without_verdict(chain: Chain, tier: Tier, digest: str, connect: ConnectToRead) -> list[str]:
    """Return the tiers based on a followed one that have said nothing about its candidate, if they can say something.

    If none of them can, all of them are returned: then only a record says whether the candidate was tried.
    """
    dependents = [chain[name] for name in chain.dependents(tier.name)]
    speaking = [each for each in dependents if each.is_publishable]
    silent = []
    for each in speaking:
        host, repository = split_registry(each.image) or ("", each.image)
        if read_verdict(connect(host), repository, digest) is None:
            silent.append(each.name)
    return silent if speaking else [each.name for each in dependents]


@contextmanager
def _noting_problems(state: ChainState) -> Iterator[None]:
    """Turn errors of registries into problems. A wrong inventory stays an error."""
    try:
        yield
    except ChainError:
        raise
    except TierwrightError as error:
        state.problems.append(str(error))
