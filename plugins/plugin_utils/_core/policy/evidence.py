# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the decision judges: the images of a line, and the statements about them whose signatures were checked.

A line is an image with all images that it is based on, the base first. Whoever collects it checks digests and
signatures. Nothing else of what it contains is believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from ..errors import DamagedError
from ..signing.envelope import IN_TOTO, Envelope
from ..signing.public_key import PublicKey
from ..signing.statement import Statement, read_statement

#: Types of predicates. Statements of other types do not count.
PROVENANCE = "https://slsa.dev/provenance/v1"
GATE = "https://in-toto.io/attestation/test-result/v0.1"
CYCLONEDX = "https://cyclonedx.org/bom"
SPDX = "https://spdx.dev/Document"
SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
RELEASE = "https://tierwright.github.io/release/v1"
POLICY = "https://tierwright.github.io/policy/v1"

#: The ``buildType`` of our provenance.
BUILD_TYPE = "https://tierwright.github.io/tier/v1"

#: Names of the subjects of a statement about an image, after the first one, which has the name of the tier.
CONFIG, LAYER = "config", "layer"

#: Names of resolved dependencies in our provenance.
PARENT, SOURCE, BASE = "parent", "source", "base"
#: How the address of such a base begins if it is an image of others, which was pulled.
PULLED = "docker://"


class SignedStatement(msgspec.Struct, frozen=True):
    """A statement, and who signed it."""

    statement: Statement
    #: The signed bytes.
    payload: bytes
    #: The keys in the policy, of any team, that signed exactly these bytes. Revoked keys are among them.
    signers: tuple[PublicKey, ...]
    payload_type: str = IN_TOTO


class PulledImage(msgspec.Struct, frozen=True):
    """The image of others that a base was pulled from, as it was published."""

    #: Digest of its manifest.
    manifest: str
    #: Digests of its layers (diffIDs) in its configuration, the lowest first.
    layers: tuple[str, ...]
    #: What others signed about it.
    statements: tuple[SignedStatement, ...]
    #: Settings, such as ``Entrypoint``, in which the base differs from it. Labels and history are not settings.
    changed_settings: tuple[str, ...] = ()


class ImageEvidence(msgspec.Struct, frozen=True):
    """One image of a line."""

    #: The tier that the image is judged as.
    tier: str
    #: Digest of its configuration: the image ID.
    config: str
    #: Digest of its manifest; ``None`` if it is not known.
    manifest: str | None
    #: Digests of its layers (diffIDs), the lowest first: those in its configuration, or those that its child has.
    layers: tuple[str, ...]
    #: ID of its parent's image, from its label; ``None`` for a base.
    parent: str | None
    #: What was signed about it.
    statements: tuple[SignedStatement, ...]
    #: Time of the image in its configuration, with a time zone; for a base, the release time of its packages.
    built: datetime | None = None
    #: The chain, from its label; ``None`` if it has no such label.
    chain: str | None = None
    #: By package of its own layer that misses a security update, the days since the update; ``None`` if nobody asked.
    outdated: Mapping[str, int] | None = None
    #: Why ``outdated`` is ``None``, as the end of a sentence; empty if nobody asked.
    not_compared: str = ""
    #: Absolute paths that its own layer adds, changes or removes, without unchanged folders; ``None`` if not read.
    written: tuple[str, ...] | None = None
    #: For a base that was pulled, the image of others.
    origin: PulledImage | None = None
    #: Whether its layers were read from its configuration, and the digest of this was compared. Otherwise, statements
    #: must name all layers of a pulled base.
    layers_read: bool = False


def read_signed_statement(envelope: Envelope, keys: Iterable[PublicKey], title: str) -> SignedStatement:
    """Check the signatures of an envelope, and read its statement.

    Args:
        envelope: The envelope.
        keys: All keys of the policy; see :meth:`.Policy.keys`.
        title: What it is, for messages.

    Returns:
        The statement. If none of the keys signed it, it has no signers, and counts for nothing.

    Raises:
        DamagedError: It does not contain an in-toto statement.
    """
    if envelope.payload_type != IN_TOTO:
        raise DamagedError(f"{title} has the payload type {envelope.payload_type!r}; expected {IN_TOTO}")
    signers = tuple(envelope.signers(keys))
    return SignedStatement(read_statement(envelope.payload, title), envelope.payload, signers)
