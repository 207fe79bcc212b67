# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The federated gate: asks the teams that follow an image for their verdicts before its release tag moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..chain.names import split_registry
from ..errors import ContractError, EngineUnavailableError, TierwrightError
from ..handover.verdicts import ConsumerVerdict, read_verdict
from ..text import printable_lines
from ..transports.registry_client import RegistryClient

#: Seconds between two looks, and between two lines that say what is still missing.
_POLL_SECONDS = 2.0
_LINE_SECONDS = 60.0
#: Default limit for waiting, in seconds.
TIMEOUT = 3600.0
#: Lines of a log that are printed.
_LOG_LINES = 20


@dataclass(frozen=True, slots=True)
class Consumers:
    """The repositories whose verdicts count for a tier, and how they count."""

    #: ``registry.example.org/development/wordpress``.
    repositories: tuple[str, ...]
    #: How many of them must say yes. With 0, verdicts are only printed.
    needed: int
    #: Seconds to wait for missing verdicts.
    timeout: float


@dataclass(frozen=True, slots=True)
class OfferedImage:
    """A published image whose release tag is about to move."""

    tier: str
    #: ``registry.example.org/operations/corebuild``.
    image: str
    #: The digest of its manifest.
    digest: str
    consumers: Consumers


def ask_consumers(
    candidates: list[OfferedImage],
    connect: Callable[[str], RegistryClient],
    say: Callable[[str], None],
    *,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until enough consumers have said yes to each candidate. Candidates are asked one after the other.

    Args:
        candidates: The candidates.
        connect: Returns a registry, by its host.
        say: Called with lines to print.
        sleep: Waits for some seconds.
        clock: Returns a time in seconds.

    Raises:
        ContractError: A consumer said no, or too few said yes in time. The message names the consumer, its test and
            its log.
        EngineError: A registry rejected a request.
    """
    for candidate in candidates:
        _ask(candidate, connect, say, sleep, clock)


def _ask(
    candidate: OfferedImage,
    connect: Callable[[str], RegistryClient],
    say: Callable[[str], None],
    sleep: Callable[[float], object],
    clock: Callable[[], float],
) -> None:
    consumers, began, said = candidate.consumers, clock(), -_LINE_SECONDS
    verdicts: dict[str, ConsumerVerdict] = {}
    problem = ""
    while True:
        try:
            verdicts |= dict(_read_missing(candidate, verdicts, connect, say))
        except EngineUnavailableError as error:
            problem = f" ({error})"
        if no := [verdict for verdict in verdicts.values() if not verdict.passed]:
            _reject(candidate, no[0], say)
        if not consumers.needed or sum(verdict.passed for verdict in verdicts.values()) >= consumers.needed:
            return
        missing = [repository for repository in consumers.repositories if repository not in verdicts]
        waited = clock() - began
        if waited >= consumers.timeout:
            raise ContractError(
                f"tier {candidate.tier!r} is not published: {', '.join(missing)} gave no verdict on "
                f"{candidate.image}@{candidate.digest} within {consumers.timeout:g} s "
                f"(tier_verdict_timeout){problem}; its tag 'candidate' names this image, so its consumers can try it "
                "with `tierwright try-candidate`"
            )
        if waited - said >= _LINE_SECONDS:
            say(f"waiting for the verdict of {', '.join(missing)} on {candidate.tier}")
            said = waited
        sleep(min(_POLL_SECONDS, consumers.timeout))


def _read_missing(
    candidate: OfferedImage,
    verdicts: Mapping[str, ConsumerVerdict],
    connect: Callable[[str], RegistryClient],
    say: Callable[[str], None],
) -> Iterator[tuple[str, ConsumerVerdict]]:
    for name in candidate.consumers.repositories:
        host, repository = split_registry(name) or ("", "")
        if name in verdicts:
            continue
        try:
            verdict = read_verdict(connect(host), repository, candidate.digest)
        except EngineUnavailableError:
            raise
        except TierwrightError as error:
            raise type(error)(f"tier {candidate.tier!r} is not published: {error}") from error
        if verdict is not None:
            answer = "yes" if verdict.passed else "no"
            say(f"{name} says {answer} to {candidate.tier} ({printable_lines(verdict.team)})")
            yield name, verdict


def _reject(candidate: OfferedImage, verdict: ConsumerVerdict, say: Callable[[str], None]) -> None:
    """Print why a consumer said no. Unless verdicts are only advice, fail."""
    lines = list(_explain(verdict))
    if not candidate.consumers.needed:
        for line in lines:
            say(line)
        return
    reason = "\n".join(lines)
    raise ContractError(
        f"tier {candidate.tier!r} is not published: tier {printable_lines(verdict.tier)!r} of team "
        f"{printable_lines(verdict.team)} says no to {candidate.image}@{candidate.digest}; no tag moved\n{reason}"
    )


def _explain(verdict: ConsumerVerdict) -> Iterator[str]:
    if verdict.problem:
        yield from printable_lines(verdict.problem).splitlines()
    for test in verdict.failed[:1]:
        owner = f" (of tier {printable_lines(test.tier or '')!r}, team {printable_lines(test.owner or '')})"
        yield f"{printable_lines(test.test) or 'its tests'}{owner if test.tier else ''}:"
        yield from (f"  {line}" for line in printable_lines(test.message).splitlines()[:_LOG_LINES])
        yield from (f"  {line}" for line in printable_lines(test.log).splitlines()[-_LOG_LINES:])
    if len(verdict.failed) > 1:
        yield f"and {len(verdict.failed) - 1} more failed tests"
