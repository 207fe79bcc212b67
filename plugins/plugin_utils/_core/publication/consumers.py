# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The federated gate: asks the teams that follow an image for their verdicts before its release tag moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from ..chain import tags
from ..chain.names import split_registry
from ..errors import ContractError, EngineUnavailableError, RunError, TierwrightError
from ..handover.published_image import read_published
from ..handover.verdicts import ConsumerVerdict, read_verdict
from ..text import one_line, printable, printable_lines
from ..transports.registry_client import RegistryClient

#: Seconds between two looks, and between two lines that say what is still missing.
_POLL_SECONDS = 2.0
_LINE_SECONDS = 60.0
#: Default limit for waiting, in seconds.
TIMEOUT = 3600.0
#: Lines of a message or a log that are printed, and characters of one line.
_LINES = 20
_WIDTH = 500

#: Returns a registry, by its host.
ConnectToAsk = Callable[[str], RegistryClient]


class Consumers(msgspec.Struct, frozen=True):
    """The repositories whose verdicts count for a tier, and how they count."""

    #: ``registry.example.org/development/wordpress``.
    repositories: tuple[str, ...]
    #: How many of them must say yes. With 0, verdicts are only printed.
    needed: int
    #: Seconds to wait for missing verdicts.
    timeout: float


class OfferedImage(msgspec.Struct, frozen=True):
    """A published image whose release tag is about to move."""

    tier: str
    #: ``registry.example.org/operations/corebuild``.
    image: str
    #: The digest of its manifest.
    digest: str
    consumers: Consumers

    @property
    def reference(self) -> str:
        """The image with its digest."""
        return f"{self.image}@{self.digest}"


def ask_consumers(
    offers: Sequence[OfferedImage],
    connect: ConnectToAsk,
    say: Callable[[str], None],
    *,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until enough consumers have said yes to each image. All images are waited for at the same time.

    Args:
        offers: The images. Their tags ``candidate`` name them, so that consumers can try them.
        connect: Returns a registry, by its host.
        say: Called with lines to print.
        sleep: Waits for some seconds.
        clock: Returns a time in seconds.

    Raises:
        ContractError: A consumer said no, or too few said yes in time. The message names the consumer, its test and
            its log.
        RunError: Somebody else offered another image, so consumers do not try this one any more.
        TierwrightError: So many verdicts cannot be read that there cannot be enough of them.
    """
    inquiries = [_Inquiry(offer, connect, say) for offer in offers]
    began, said = clock(), -_LINE_SECONDS
    while True:
        for inquiry in inquiries:
            inquiry.look()
        inquiries = [inquiry for inquiry in inquiries if not inquiry.is_settled]
        if not inquiries:
            return
        waited = clock() - began
        for inquiry in inquiries:
            inquiry.check(waited)
        if waited - said >= _LINE_SECONDS:
            for inquiry in inquiries:
                say(f"waiting for the verdict of {', '.join(inquiry.missing)} on {inquiry.offer.tier}")
            said = waited
        sleep(min(_POLL_SECONDS, *(inquiry.offer.consumers.timeout - waited for inquiry in inquiries)))


class _Inquiry:
    """The verdicts about one image, as far as they are known."""

    def __init__(self, offer: OfferedImage, connect: ConnectToAsk, say: Callable[[str], None]) -> None:
        self.offer, self._connect, self._say = offer, connect, say
        self._verdicts: dict[str, ConsumerVerdict] = {}
        #: Why verdicts could not be read in the last look, by repository.
        self._problems: dict[str, TierwrightError] = {}

    @property
    def missing(self) -> list[str]:
        """The repositories that have no verdict yet."""
        return [name for name in self.offer.consumers.repositories if name not in self._verdicts]

    @property
    def is_settled(self) -> bool:
        """Whether enough consumers said yes, or verdicts are only advice."""
        return sum(verdict.passed for verdict in self._verdicts.values()) >= self.offer.consumers.needed

    def look(self) -> None:
        """Read the verdicts that are missing. A "no" ends it, unless verdicts are only advice."""
        self._problems = {}
        for name in self.missing:
            host, repository = split_registry(name) or ("", "")
            try:
                verdict = read_verdict(self._connect(host), repository, self.offer.digest)
            except TierwrightError as error:
                self._problems[name] = error
                continue
            if verdict is not None:
                self._verdicts[name] = verdict
                self._say(f"{name} says {'yes' if verdict.passed else 'no'} to {self.offer.tier} ({verdict.team})")
        rejecting = [name for name, verdict in self._verdicts.items() if not verdict.passed]
        if self.offer.consumers.needed:
            if rejecting:
                raise ContractError("\n".join(self._explain_all(rejecting)))
            return
        for name in rejecting:
            for line in _explain(self._verdicts[name]):
                self._say(f"  {line}")
        for name, problem in self._problems.items():
            self._say(f"{name} cannot be asked about {self.offer.tier}: {problem}")

    def check(self, waited: float) -> None:
        """Raise an error if waiting is of no use any more."""
        offer, consumers = self.offer, self.offer.consumers
        subject = f"tier {offer.tier!r} is not published"
        lasting = [error for error in self._problems.values() if not isinstance(error, EngineUnavailableError)]
        if len(consumers.repositories) - len(lasting) < consumers.needed:
            raise type(lasting[0])(f"{subject}: {lasting[0]}")
        if waited >= consumers.timeout:
            problems = "".join(f" ({error})" for error in list(self._problems.values())[:1])
            raise ContractError(
                f"{subject}: {', '.join(self.missing)} gave no verdict on {offer.reference} within "
                f"{consumers.timeout:g} s (tier_verdict_timeout){problems}; its tag {tags.CANDIDATE!r} names this "
                "image, so its consumers can try it with `tierwright try-candidate`"
            )
        named = self._read_candidate()
        if named is not None and named != offer.digest:
            raise RunError(
                f"{subject}: {offer.image}:{tags.CANDIDATE} names {named} now, because somebody else offered this "
                f"image, so no consumer tries {offer.digest} any more; start the playbook again to offer it again"
            )

    def _read_candidate(self) -> str | None:
        """Return the digest that the tag ``candidate`` names; ``None`` if this is not known now."""
        host, repository = split_registry(self.offer.image) or ("", "")
        try:
            named = read_published(self._connect(host), repository, tags.CANDIDATE)
        except TierwrightError:
            return None
        return named.manifest if named else None

    def _explain_all(self, rejecting: Sequence[str]) -> Iterator[str]:
        first, *others = rejecting
        verdict = self._verdicts[first]
        yield (
            f"tier {self.offer.tier!r} is not published: {first} (tier {verdict.tier!r} of team {verdict.team}) says "
            f"no to {self.offer.reference}; no release tag moved"
        )
        yield from _explain(verdict)
        yield from (f"{name} says no, too" for name in others)


def _explain(verdict: ConsumerVerdict) -> Iterator[str]:
    """Yield the reasons of a "no". They are text of others: each part is short, and in lines of its own."""
    yield from _shorten(verdict.problem.splitlines()[:_LINES])
    for test in verdict.failed[:1]:
        owner = f" (of tier {one_line(test.tier, _WIDTH)!r}, team {one_line(test.owner, _WIDTH)})" if test.tier else ""
        yield f"{printable(one_line(test.test or 'its tests', _WIDTH))}{printable(owner)}:"
        yield from (f"  {line}" for line in _shorten(test.message.splitlines()[:_LINES]))
        yield from (f"  {line}" for line in _shorten(test.log.splitlines()[-_LINES:]))
    if len(verdict.failed) > 1:
        yield f"and {len(verdict.failed) - 1} more failed tests"


def _shorten(lines: Sequence[str]) -> Iterator[str]:
    return (printable_lines(line)[:_WIDTH] for line in lines)
