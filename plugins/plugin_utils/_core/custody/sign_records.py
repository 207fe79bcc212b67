# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signs what is known about images: their provenance, their tests, further statements, and the images themselves.

It happens before release tags move, with the key of the team that owns the tier. An image that has a statement with the
signature of this key already is not signed again, so a second run changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from types import MappingProxyType

import msgspec

from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import DamagedError, RunError, describe_error
from ..image import labels
from ..signing.bundle import write_bundle
from ..signing.envelope import IN_TOTO, Signer, sign
from ..signing.statement import Statement, Subject, read_statement, write_statement
from .build_facts import BuildFacts, note_facts, noted_facts
from .gate_facts import noted_gate
from .manifest_digest import manifest_digest
from .predicates import TierImage
from .record_store import LocalRecords
from .statements import gate_statement, provenance_statement, signature_statement

#: Makes a further statement about an image, for example its SBOM; ``None`` if it cannot be made.
MakeStatement = Callable[[TierImage, Image], Statement | None]


class SignedImages(msgspec.Struct, frozen=True):
    """What a run signed."""

    #: Number of new signatures by tier. A tier whose image was signed before has 0.
    signatures: Mapping[str, int] = msgspec.field(default_factory=dict)
    #: Sentences about images that cannot be signed, by tier.
    unsigned: Mapping[str, str] = msgspec.field(default_factory=dict)


def sign_images(
    engine: Engine,
    images: Mapping[str, str],
    read_signer: Callable[[str], Signer | None],
    *,
    records: LocalRecords,
    more_statements: Mapping[str, MakeStatement] = MappingProxyType({}),
) -> SignedImages:
    """Sign what is known about images. What is signed survives a crash of the machine.

    Args:
        engine: The engine that has the images.
        images: Image IDs by tier.
        read_signer: Returns the signer of a tier; ``None`` if nobody signs it.
        records: The store of facts and signed statements.
        more_statements: Further statements, by their predicate type. They depend only on the image, so they are not
            made again if the image has one.

    Raises:
        TrustError: A key cannot be opened, or cannot sign.
        RunError: A signed statement cannot be stored.
        EngineError: The engine rejected a request.
    """
    signatures, unsigned = {}, {}
    for tier, image_id in images.items():
        signer = read_signer(tier)
        if signer is None:
            continue
        image, facts = engine.images.get(image_id), noted_facts(records, image_id)
        if facts is None or not _fits(facts, tier, image):
            unsigned[tier] = (
                f"tier {tier!r} is not signed: nothing was recorded here about the build of its image {image_id}; "
                f"build it again with -e tier_force={tier}"
            )
            continue
        subject = _subject(engine, facts, image)
        signing = _ImageSigning(records, image.id, signer)
        for statement in _statements(engine, records, subject, facts):
            signing.sign(statement)
        for predicate_type, make in more_statements.items():
            if not signing.has(subject, predicate_type) and (more := make(subject, image)) is not None:
                signing.sign(more)
        signatures[tier] = signing.count
    return SignedImages(signatures, unsigned)


def draft_statements(engine: Engine, records: LocalRecords, config: str) -> list[Statement]:
    """Make the statements about an image from the facts on this machine; none if there are no facts about it.

    Args:
        engine: The engine that has the image.
        records: The store.
        config: ``sha256:…`` of the image's configuration.

    Raises:
        RunError: A fact cannot be stored.
        EngineError: The engine rejected a request.
    """
    image, facts = engine.images.find(config), noted_facts(records, config)
    if image is None or facts is None or not _fits(facts, facts.tier, image):
        return []
    subject = _subject(engine, facts, image)
    return list(_statements(engine, records, subject, facts))


def _subject(engine: Engine, facts: BuildFacts, image: Image) -> TierImage:
    """Name an image by its digests. A base has all layers: if it was pulled, only this binds them to the signature."""
    own = image.layers if facts.parent is None else (facts.layer,) if facts.layer else ()
    return TierImage(facts.tier, manifest_digest(engine, image), image.id, own)


def _statements(engine: Engine, records: LocalRecords, subject: TierImage, facts: BuildFacts) -> Iterator[Statement]:
    yield provenance_statement(subject, _with_parent_manifest(engine, records, subject.config, facts))
    gate = noted_gate(records, subject.config)
    if gate is not None and gate.tier == subject.tier:
        yield gate_statement(subject, gate)
    yield signature_statement(subject.manifest)


def _with_parent_manifest(engine: Engine, records: LocalRecords, config: str, facts: BuildFacts) -> BuildFacts:
    """Add the digest of the parent's manifest to the facts, and note it, so that the statement is always the same."""
    parent = facts.parent
    if parent is None or parent.manifest is not None or (image := engine.images.find(parent.config)) is None:
        return facts
    known = msgspec.structs.replace(parent, manifest=manifest_digest(engine, image))
    facts = msgspec.structs.replace(facts, parent=known)
    with storing(config):
        note_facts(records, config, facts)
    return facts


def _fits(facts: BuildFacts, tier: str, image: Image) -> bool:
    """Say whether facts can be about an image. Somebody could have copied them from another one."""
    found = image.labels
    return (
        (facts.tier, facts.chain, facts.team) == (tier, found.get(labels.CHAIN), found.get(labels.TEAM))
        and facts.layer in {None, *image.layers[-1:]}
        and (facts.parent.config if facts.parent else None) == found.get(labels.PARENT)
    )


class _ImageSigning:
    """Signs statements about one image, unless the key signed them before."""

    def __init__(self, records: LocalRecords, config: str, signer: Signer) -> None:
        self._records, self._config, self._signer = records, config, signer
        self._before = records.signed_payloads(config, signer.public_key)
        #: Number of new signatures.
        self.count = 0

    def sign(self, statement: Statement) -> None:
        payload = write_statement(statement)
        if payload in self._before:
            return
        envelope = sign(payload, IN_TOTO, self._signer)
        with storing(self._config):
            self._records.add(self._config, write_bundle(envelope, self._signer.public_key))
        self.count += 1

    def has(self, subject: TierImage, predicate_type: str) -> bool:
        """Say whether the key signed a statement of a kind about exactly this image."""
        return (subject.subjects(), predicate_type) in self._kinds

    @cached_property
    def _kinds(self) -> set[tuple[tuple[Subject, ...], str]]:
        """Subjects and kinds of the statements that the key signed before."""
        kinds = set()
        for payload in self._before:
            with suppress(DamagedError):
                statement = read_statement(payload, "a record")
                kinds.add((statement.subjects, statement.predicate_type))
        return kinds


@contextmanager
def storing(config: str) -> Iterator[None]:
    """Turn errors while records are stored into a sentence about the image."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"the signed records of image {config} cannot be stored: {describe_error(error)}; XDG_STATE_HOME selects a "
            "different folder"
        ) from error
