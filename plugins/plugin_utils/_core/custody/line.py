# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The line of an image: the image of each tier that it is based on, with the signed statements about it.

The line is followed downwards, from parent to parent, as the provenance of each image names it. Ancestors need not be
anywhere: their digests, layers and statements are enough. What a statement says counts only if a known key signed it,
but the line is also followed through unsigned statements, so that the answer shows what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..chain.names import is_digest
from ..errors import DamagedError
from ..image import labels
from ..policy.evidence import ImageEvidence, SignedStatement
from ..signing.bundle import read_bundle
from ..signing.envelope import IN_TOTO
from ..signing.public_key import PublicKey
from ..signing.statement import read_statement
from .image_identity import ImageIdentity
from .predicates import PROVENANCE
from .record_store import RecordSource

#: No image has more tiers. Engines allow about 127 layers.
_MOST_TIERS = 256


@dataclass(frozen=True, slots=True)
class TracedTier:
    """The image of one tier in a line."""

    image: ImageIdentity
    #: What the policy judges.
    evidence: ImageEvidence
    #: Bundles that cannot be read, one sentence each.
    problems: tuple[str, ...]


@dataclass(slots=True)
class _Collected:
    """The statements about one image, by their bytes."""

    signers: dict[bytes, dict[PublicKey, None]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def trace(
    image: ImageIdentity,
    sources: Sequence[RecordSource],
    keys: Iterable[PublicKey],
    tiers: Sequence[str | None] = (),
) -> list[TracedTier]:
    """Follow the line of an image.

    Args:
        image: The image.
        sources: Where statements are looked for, all of them.
        keys: The keys whose signatures are looked for.
        tiers: The tier of each layer, the base's first, as the history of the image names it. It is used for tiers
            without provenance.

    Returns:
        The tiers, the base first and the image last. The line ends early where no statement names a parent.

    Raises:
        EngineError: A registry rejected a request, or does not answer.
    """
    known, line, current, seen = tuple(keys), [], image, set[str]()
    while True:
        traced = _read_tier(current, sources, known, tiers)
        line.append(traced)
        seen.add(current.config)
        below = _find_parent(traced)
        if below is None or below.config in seen or len(line) > _MOST_TIERS:
            return line[::-1]
        current = below


def find_provenance(statements: Iterable[SignedStatement], config: str) -> SignedStatement | None:
    """Return the provenance of an image: one that a known key signed comes before others; ``None`` if there is none."""
    found = [
        each
        for each in statements
        if each.statement.predicate_type == PROVENANCE and config in each.statement.digests()
    ]
    return min(found, key=lambda each: (-len(each.signers), each.payload), default=None)


def external_parameters(provenance: SignedStatement | None) -> Mapping[str, Any]:
    """Return what the provenance says about the tier: names, and where its source is. Empty if it says nothing."""
    return _mapping(_mapping(provenance and provenance.statement.predicate, "buildDefinition"), "externalParameters")


def dependencies(provenance: SignedStatement | None) -> list[Mapping[str, Any]]:
    """Return what a build depended on, each with ``name``, ``uri`` and ``digest``."""
    found = _mapping(provenance and provenance.statement.predicate, "buildDefinition").get("resolvedDependencies")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _read_tier(
    image: ImageIdentity, sources: Sequence[RecordSource], keys: tuple[PublicKey, ...], tiers: Sequence[str | None]
) -> TracedTier:
    collected = _Collected()
    for source in sources:
        for title, bundle in source.bundles(image):
            _collect(collected, title, bundle, keys)
    statements = tuple(_statements(collected))
    provenance = find_provenance(statements, image.config)
    named = external_parameters(provenance).get("tier")
    from_history = tiers[len(image.layers) - 1] if 0 < len(image.layers) <= len(tiers) else None
    parent = _parent_dependency(provenance)
    evidence = ImageEvidence(
        tier=named if isinstance(named, str) else image.labels.get(labels.TIER) or from_history or "",
        config=image.config,
        manifest=image.manifest,
        layers=image.layers,
        parent=_parent_config(parent) or (image.parent if provenance is None else None),
        statements=statements,
    )
    return TracedTier(image, evidence, tuple(collected.problems))


def _collect(collected: _Collected, title: str, bundle: bytes, keys: tuple[PublicKey, ...]) -> None:
    try:
        envelope = read_bundle(bundle, title)
        read_statement(envelope.payload, title)
    except DamagedError as error:
        collected.problems.append(str(error))
        return
    if envelope.payload_type != IN_TOTO:
        collected.problems.append(f"{title} has the payload type {envelope.payload_type!r}; expected {IN_TOTO}")
        return
    signers = collected.signers.setdefault(envelope.payload, {})
    signers |= dict.fromkeys(envelope.signers(keys))


def _statements(collected: _Collected) -> Iterator[SignedStatement]:
    for payload, signers in sorted(collected.signers.items()):
        yield SignedStatement(read_statement(payload, "a statement"), payload, tuple(signers))


def _find_parent(traced: TracedTier) -> ImageIdentity | None:
    """Return the image of the parent, as far as it is known; ``None`` for a base, and if no statement names it."""
    evidence, image = traced.evidence, traced.image
    provenance = find_provenance(evidence.statements, evidence.config)
    if evidence.parent is None or not is_digest(evidence.parent):
        return None
    own = own_layer(provenance) if provenance else (image.layers or (None,))[-1]
    layers = image.layers[:-1] if image.layers and own == image.layers[-1] else image.layers
    annotations = _mapping(_parent_dependency(provenance), "annotations")
    manifest = annotations.get("manifest")
    return ImageIdentity(
        config=evidence.parent,
        manifest=manifest if isinstance(manifest, str) and is_digest(manifest) else None,
        layers=layers,
        labels={},
        reference=f"the parent of {image.reference}",
    )


def own_layer(provenance: SignedStatement) -> str | None:
    """Return the layer that the provenance names as the tier's own; ``None`` if the tier has none."""
    return next((each.digest for each in provenance.statement.subjects if each.name == "layer"), None)


def _parent_dependency(provenance: SignedStatement | None) -> Mapping[str, Any]:
    return next((each for each in dependencies(provenance) if each.get("name") == "parent"), {})


def _parent_config(dependency: Mapping[str, Any]) -> str | None:
    sha256 = _mapping(dependency, "digest").get("sha256")
    return f"sha256:{sha256}" if isinstance(sha256, str) else None


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    """Return the mapping at a key of a mapping; empty if something else is there. Statements can have any form."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}
