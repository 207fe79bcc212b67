# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a policy refuses, as functions: an image, an image that is not the newest release, and a pulled base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec.structs import replace

from ..policy.policy import Policy
from ..policy.rules import TierRule
from ..transports.image import Stack
from .freshness import ExpectedRelease, require_release
from .image_identity import ImageIdentity
from .layer_content import LayerReader
from .outdated_evidence import OutdatedReader
from .record_store import RecordSource
from .registry_records import RegistryPlace
from .verification import Verifier

#: Refuses an image with a TrustError: the image, where its records are, and what is refused.
Check = Callable[[ImageIdentity, Sequence[RecordSource], str], None]
#: Refuses an image that is not the newest release: where it is, which it should be, and what is refused.
CheckRelease = Callable[[RegistryPlace, ExpectedRelease, str], None]


class PolicyCheck:
    """Refuses what one policy does not allow."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        """Take the policy.

        Args:
            policy: The policy, whose signature was checked.
            now: The current time.
        """
        self._policy, self._now, self._layers = policy, now, LayerReader()
        self._outdated = OutdatedReader(policy, now) if policy.outdated else None

    @property
    def read_layers(self) -> Callable[[Stack], None] | None:
        """Reads the layers of an image before it is checked; ``None`` if the policy is not about their content."""
        readers = [self._layers.read] if any(rule.writes for rule in self._policy.tiers.values()) else []
        readers += [self._outdated.read] if self._outdated else []

        def read(stack: Stack) -> None:
            for each in readers:
                each(stack)

        return read if readers else None

    def image(self, image: ImageIdentity, sources: Sequence[RecordSource], subject: str) -> None:
        """Refuse an image; see :meth:`.Verifier.require`.

        Raises:
            TrustError: A link does not hold.
            EngineError: A registry rejected a request, or does not answer.
        """
        outdated = self._outdated.ask if self._outdated else None
        Verifier(self._policy, sources, self._now, self._layers.written, outdated).require(image, subject)

    def release(self, place: RegistryPlace, expected: ExpectedRelease, subject: str) -> None:
        """Refuse an image that is not the newest release; see :func:`.require_release`.

        Raises:
            TrustError: It is not.
            EngineError: The registry rejected a request, or does not answer.
        """
        require_release(self._policy, place, expected, self._now, subject)

    def pulled(self, tier: str) -> Check | None:
        """Return what refuses the pulled image of a base that others must have signed; ``None`` if nobody must.

        Args:
            tier: The base.
        """
        rule = self._policy.rule(tier)
        if rule is None or not rule.signed_by:
            return None
        # Only the signature of others is about the pulled image. The rest is about the base that is made from it.
        only = replace(self._policy, tiers={tier: TierRule(signed_by=rule.signed_by)}, base_age=None, outdated={})
        return PolicyCheck(only, self._now).image
