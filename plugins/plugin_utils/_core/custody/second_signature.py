# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A further signature over the statements about an image, by a second person.

The same bytes are signed as by the first person, so both signatures count together. If nobody has signed yet, the
statements are made from the facts on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec

from ..engine.engine import Engine
from ..errors import NotFoundError, TrustError
from ..signing.bundle import write_bundle
from ..signing.envelope import IN_TOTO, Signer, sign
from ..signing.public_key import PublicKey
from ..signing.statement import write_statement
from .predicates import CONFIG, GATE, LAYER, PROVENANCE
from .record_store import LocalRecords
from .sign_records import draft_statements, storing
from .statements import signature_statement
from .stored_statements import StoredStatement, stored_statements, text_at


class Request(msgspec.Struct, frozen=True):
    """What a person is asked to sign. They must see it before they sign it."""

    #: ``sha256:…`` of the image's configuration.
    config: str
    #: ``sha256:…`` of its manifest.
    manifest: str
    #: One statement of each kind.
    statements: tuple[StoredStatement, ...]

    def of_kind(self, predicate_type: str) -> StoredStatement | None:
        """Return the statement of a kind; ``None`` if there is none."""
        return next((each for each in self.statements if each.statement.predicate_type == predicate_type), None)


def request_signature(records: LocalRecords, config: str, engine: Engine | None) -> Request:
    """Collect the statements about an image that a further person can sign.

    These are the newest provenance, the newest tests of the same image, and the signature of the image itself.

    Args:
        records: The store.
        config: ``sha256:…`` of the image's configuration.
        engine: The engine with the image, if nobody has signed yet; ``None`` if there is none.

    Raises:
        NotFoundError: There are no statements about it, and no facts from which they can be made.
        TrustError: The provenance is also about something else.
        EngineError: The engine rejected a request.
    """
    statements = stored_statements(records, config)
    if not any(each.statement.predicate_type == PROVENANCE for each in statements) and engine is not None:
        statements = [
            StoredStatement(write_statement(statement), statement, ())
            for statement in draft_statements(engine, records, config)
        ]
    provenance = next((each for each in statements if each.statement.predicate_type == PROVENANCE), None)
    if provenance is None:
        raise NotFoundError(
            f"there is no provenance of image {config} on this machine; import it with `tierwright records import`, or "
            "sign where the image was built"
        )
    manifest = _check_subjects(provenance, config)
    subjects = provenance.statement.subjects
    about = [each for each in statements if each.statement.subjects == subjects]
    gates = (each for each in about if each.statement.predicate_type == GATE)
    image = signature_statement(manifest)
    chosen = (provenance, *islice(gates, 1), StoredStatement(write_statement(image), image, ()))
    return Request(config, manifest, chosen)


def _check_subjects(provenance: StoredStatement, config: str) -> str:
    """Check that a provenance is about one image, and return the digest of its manifest."""
    statement = provenance.statement
    tier = text_at(statement.predicate, "buildDefinition", "externalParameters", "tier")
    names = [subject.name for subject in statement.subjects]
    if names not in ([tier, CONFIG], [tier, CONFIG, LAYER]) or statement.subjects[1].digest != config:
        raise TrustError(
            f"the provenance of image {config} has the subjects {', '.join(names) or 'none'}; expected {tier}, config "
            "and layer of this image; remove the record, and get it from its author again"
        )
    return statement.subjects[0].digest


def unsigned_by(records: LocalRecords, request: Request, key: PublicKey) -> list[StoredStatement]:
    """Return those of the requested statements that a key has not signed."""
    signed = records.signed_payloads(request.config, key)
    return [each for each in request.statements if each.payload not in signed]


def sign_statements(records: LocalRecords, config: str, statements: Sequence[StoredStatement], signer: Signer) -> None:
    """Sign the bytes of statements, and store each signature as a bundle of its own.

    Raises:
        TrustError: The key or its service cannot sign.
        RunError: A signature cannot be stored.
    """
    for each in statements:
        envelope = sign(each.payload, IN_TOTO, signer)
        with storing(config):
            records.add(config, write_bundle(envelope, signer.public_key))
