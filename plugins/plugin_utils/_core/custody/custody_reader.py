# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the custody of images: for the verbs and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec

from ..policy.evidence import ImageEvidence
from ..policy.link import Link
from ..policy.policy import Policy
from ..transports.image import Stack
from ..transports.image_document import Document
from .custody_answer import Custody, TierCustody, describe
from .image_identity import ImageIdentity
from .layer_content import LayerReader
from .line import Tracer
from .outdated_evidence import OutdatedReader
from .record_store import RecordSource
from .verification import Verifier


class NamedPolicy(msgspec.Struct, frozen=True):
    """A policy, and the file that it is from."""

    path: str
    policy: Policy


def identify_document(document: Document, reference: str, manifest: str | None = None) -> ImageIdentity:
    """Return the identity of an image from its configuration.

    Args:
        document: The image.
        reference: How the user named it, for messages.
        manifest: The digest of its manifest, if it is known.
    """
    return ImageIdentity(document.id, manifest, document.layers, document.labels, reference)


class CustodyReader:
    """Reads the custody of images. What several images share is read and checked once."""

    def __init__(
        self,
        named: NamedPolicy | None,
        sources: Sequence[RecordSource],
        now: datetime,
        ask_archives: Callable[[str], None] | None = None,
    ) -> None:
        """Take what to verify with.

        Args:
            named: The policy; ``None`` if there is none. Then nothing is verified.
            sources: Where signed statements are looked for.
            now: The current time.
            ask_archives: Called with a line of progress before a request to an archive of packages. Archives are asked
                only if the policy limits how long security updates may be missing. ``None`` if they are never asked.
        """
        self.named = named
        self._sources, self._now = tuple(sources), now
        self._layers = LayerReader()
        limited = named.policy if named and named.policy.outdated else None
        self._outdated = OutdatedReader(limited, now, ask_archives) if limited and ask_archives else None
        outdated = self._outdated.ask if self._outdated else None
        self._verifier = Verifier(named.policy, sources, now, self._layers.written, outdated) if named else None

    def read(self, image: ImageIdentity, stack: Stack) -> Custody:
        """Read the custody of an image.

        Args:
            image: The image.
            stack: The same image, with the indexes of its layers.

        Raises:
            EngineError: A registry rejected a request, or does not answer.
        """
        tiers = [step.tier if step else None for step in stack.document.layer_steps]
        if self._verifier is None:
            line, links = Tracer(self._sources, ()).trace(image, tiers), list[Link]()
        else:
            self._layers.read(stack)
            if self._outdated:
                self._outdated.read(stack)
            verification = self._verifier.verify(image, tiers)
            line = verification.line
            links = [*verification.links, *(link for each in line for link in self._package_links(each.evidence))]
        policy = self.named.policy if self.named else None
        answers = [describe(each, _of_tier(links, each.evidence.tier), policy) for each in line]
        known = {each.tier for each in answers}
        return Custody(
            image=image.config,
            name=image.reference,
            policy=self.named.path if self.named else None,
            policy_version=policy.version if policy else None,
            verified=bool(links) and all(link.ok for link in links),
            tiers=answers,
            links=[link for link in links if link.tier not in known],
        )

    def read_tier(self, image: ImageIdentity, stack: Stack) -> TierCustody:
        """Read the custody of the uppermost tier of an image. Its links include those about the image as a whole."""
        custody = self.read(image, stack)
        last = custody.tiers[-1]
        last.links.extend(custody.links)
        return last

    def _package_links(self, evidence: ImageEvidence) -> Iterator[Link]:
        """Compare dpkg's database with what the layer of a tier installed."""
        claims = self._layers.claims(evidence.layers)
        for claim in claims:
            yield Link(
                evidence.tier,
                "packages",
                ok=False,
                detail=str(claim),
                action="build the tier again; if its role writes dpkg's database, it must not",
            )
        if not claims:
            yield Link(evidence.tier, "packages", ok=True, detail="dpkg's database lists what the layer installed")


def _of_tier(links: Sequence[Link], tier: str) -> list[Link]:
    return [link for link in links if link.tier == tier]
