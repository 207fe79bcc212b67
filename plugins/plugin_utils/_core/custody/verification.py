# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Verifies an image with a policy: before a followed image is used, before promotion, and before deployment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from ..errors import TrustError
from ..policy.decision import judge_image
from ..policy.evidence import ImageEvidence
from ..policy.link import Link
from ..policy.policy import Policy
from ..signing.public_key import PublicKey
from .image_identity import ImageIdentity
from .line import TracedTier, Tracer
from .outdated_evidence import OutdatedAnswer
from .record_store import RecordSource

#: Returns the absolute paths that the last of some layers writes; ``None`` if it was not read here.
ReadWritten = Callable[[tuple[str, ...]], tuple[str, ...] | None]
#: Returns which security updates a tier misses. It gets the layers of the image, those below the tier, and those up to
#: the tier.
AskOutdated = Callable[[tuple[str, ...], tuple[str, ...], tuple[str, ...]], OutdatedAnswer]

#: How many failed links an error names. The others are counted.
_NAMED = 3


class Verification(msgspec.Struct, frozen=True):
    """The result of a verification."""

    #: The tiers, the base first and the image last.
    line: list[TracedTier]
    #: All checked links of all tiers, in this order.
    links: list[Link]

    @property
    def failed(self) -> list[Link]:
        """The links that do not hold."""
        return [link for link in self.links if not link.ok]


class Verifier:
    """Verifies images with one policy."""

    def __init__(
        self,
        policy: Policy,
        sources: Sequence[RecordSource],
        now: datetime,
        read_written: ReadWritten = lambda _layers: None,
        ask_outdated: AskOutdated | None = None,
    ) -> None:
        """Take what to verify with.

        Args:
            policy: The policy.
            sources: Where signed statements are looked for.
            now: The current time.
            read_written: Reads which paths a layer writes. It is called only for tiers with a rule about it.
            ask_outdated: Asks which security updates a tier misses. It is called only if the policy limits this. If
                it is ``None``, such a policy allows nothing.
        """
        self._policy, self._now = policy, now
        self._read_written, self._ask_outdated = read_written, ask_outdated
        self._tracer = Tracer(sources, policy.keys(), self._valid_keys)

    def verify(self, image: ImageIdentity, tiers: Sequence[str | None] = ()) -> Verification:
        """Follow the line of an image, and judge it.

        Args:
            image: The image.
            tiers: The tier of each layer, as the history of the image names it.

        Raises:
            EngineError: A registry rejected a request, or does not answer.
        """
        line = self._tracer.trace(image, tiers)
        below = ((), *(traced.evidence.layers for traced in line))
        judged = [
            self._with_outdated(self._with_written(traced.evidence), image.layers, layers)
            for traced, layers in zip(line, below, strict=False)
        ]
        return Verification(line, judge_image(self._policy, judged, self._now))

    def require(self, image: ImageIdentity, subject: str) -> None:
        """Verify an image, and refuse it if a link does not hold.

        Args:
            image: The image.
            subject: What is refused, for the message: ``tier 'corebuild' is not promoted``.

        Raises:
            TrustError: A link does not hold. The message names the first ones, with what to do.
            EngineError: A registry rejected a request, or does not answer.
        """
        failed = self.verify(image).failed
        if failed:
            named = "; ".join(describe_link(link) for link in failed[:_NAMED])
            more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
            raise TrustError(f"{subject}: the policy refuses {image.reference}: {named}{more}")

    def _valid_keys(self, tier: str) -> Collection[PublicKey]:
        rule = self._policy.rule(tier)
        return self._policy.valid_keys(rule.team) if rule is not None and rule.team is not None else ()

    def _with_written(self, evidence: ImageEvidence) -> ImageEvidence:
        rule = self._policy.rule(evidence.tier)
        if rule is None or not rule.writes or not evidence.layers:
            return evidence
        return replace(evidence, written=self._read_written(evidence.layers))

    def _with_outdated(self, evidence: ImageEvidence, image: tuple[str, ...], below: tuple[str, ...]) -> ImageEvidence:
        if not self._policy.outdated or self._ask_outdated is None:
            return evidence
        answer = self._ask_outdated(image, below, evidence.layers)
        return replace(evidence, outdated=answer.days, not_compared=answer.problem)


def describe_link(link: Link) -> str:
    """Return a failed link as one text: tier, link, what was found, what to do."""
    place = f"tier {link.tier!r}" if link.tier else "a tier without a name"
    return f"{place}, {link.name}: {link.detail}" + (f"; {link.action}" if link.action else "")
