# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The line of an image: the image of each tier that it is based on, with the signed statements about it.

The line is followed downwards, from parent to parent, as the provenance of each image names it. Ancestors need not be
anywhere: their digests, layers and statements are enough. What a statement says counts only if a known key signed it,
but the line is also followed through unsigned statements, so that the answer shows what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from ..chain.names import is_digest
from ..errors import DamagedError
from ..image import labels
from ..policy.evidence import CONFIG, LAYER, PARENT, PROVENANCE, ImageEvidence, SignedStatement, read_signed_statement
from ..signing.bundle import read_bundle
from ..signing.public_key import PublicKey
from .image_identity import ImageIdentity
from .record_store import RecordSource

#: No image has more tiers. Engines allow about 127 layers.
_MOST_TIERS = 256
#: How provenance names a parent: ``tier:corebuild``.
_TIER = "tier:"
#: The end of the year 9999, in seconds since 1970.
_LATEST = 253_402_300_799


class TracedTier(msgspec.Struct, frozen=True):
    """The image of one tier in a line."""

    image: ImageIdentity
    #: What the policy judges.
    evidence: ImageEvidence
    #: Bundles that cannot be read, one sentence each.
    problems: tuple[str, ...]
    #: The provenance that the line follows; ``None`` if there is none.
    provenance: SignedStatement | None


class Tracer:
    """Follows lines of images. What lines share is read and checked once."""

    def __init__(
        self,
        sources: Sequence[RecordSource],
        keys: Iterable[PublicKey],
        valid_keys: Callable[[str], Collection[PublicKey]] | None = None,
    ) -> None:
        """Take where to look, and for whom.

        Args:
            sources: Where statements are looked for, all of them.
            keys: The keys whose signatures are looked for.
            valid_keys: Returns those that count for a tier. The line follows what they signed before anything else.
        """
        self._sources, self._keys = tuple(sources), tuple(keys)
        self._valid_keys = valid_keys or (lambda _tier: self._keys)
        self._read: dict[tuple[str, tuple[str, ...], bool], TracedTier] = {}

    def trace(self, image: ImageIdentity, tiers: Sequence[str | None] = ()) -> list[TracedTier]:
        """Follow the line of an image.

        Args:
            image: The image.
            tiers: The tier of each layer, the base's first, as the history of the image names it. It is used for tiers
                without provenance.

        Returns:
            The tiers, the base first and the image last. The line ends early where no statement names a parent.

        Raises:
            EngineError: A registry rejected a request, or does not answer.
        """
        line, current, seen, name = [], image, set[str](), next(iter(tiers[len(image.layers) - 1 :]), None)
        while True:
            key = current.config, current.layers, bool(current.labels)
            if key not in self._read:
                self._read[key] = self._read_tier(current, name)
            traced = self._read[key]
            line.append(traced)
            seen.add(current.config)
            below = _find_parent(traced)
            if below is None or below.config in seen or len(line) > _MOST_TIERS:
                return line[::-1]
            current, name = below, _parent_name(traced) or next(iter(tiers[len(below.layers) - 1 :]), None)

    def _read_tier(self, image: ImageIdentity, name: str | None) -> TracedTier:
        merged: dict[bytes, SignedStatement] = {}
        problems = []
        for source in self._sources:
            for title, bundle in source.bundles(image):
                try:
                    signed = read_signed_statement(read_bundle(bundle, title), self._keys, title)
                except DamagedError as error:
                    problems.append(str(error))
                    continue
                before = merged.get(signed.payload, signed)
                signers = tuple(dict.fromkeys((*before.signers, *signed.signers)))
                merged[signed.payload] = replace(signed, signers=signers)
        statements = tuple(merged[payload] for payload in sorted(merged))
        tier = image.labels.get(labels.TIER) or name
        provenance = find_provenance(statements, image.config, self._valid_keys(tier) if tier else self._keys)
        said = external_parameters(provenance)
        evidence = ImageEvidence(
            tier=image.labels.get(labels.TIER) or _text(said, "tier") or name or "",
            config=image.config,
            # An engine may not know it. The provenance binds it to configuration and layer, which are compared.
            manifest=image.manifest or (_manifest(provenance) if provenance else None),
            layers=image.layers,
            parent=image.parent if image.labels else _parent_config(provenance),
            statements=statements,
            built=_built(provenance),
            chain=image.labels.get(labels.CHAIN) or _text(said, "chain"),
        )
        return TracedTier(image, evidence, tuple(problems), provenance)


def find_provenance(
    statements: Iterable[SignedStatement], config: str, keys: Collection[PublicKey] | None = None
) -> SignedStatement | None:
    """Return the provenance of an image; ``None`` if there is none.

    Args:
        statements: Statements about the image.
        config: The digest of its configuration.
        keys: The keys that count. What most of them signed comes first; by default, all signers count.
    """
    found = [
        each
        for each in statements
        if each.statement.predicate_type == PROVENANCE and config in each.statement.digests()
    ]
    return min(found, key=lambda each: (-_count(each, keys), each.payload), default=None)


def _count(signed: SignedStatement, keys: Collection[PublicKey] | None) -> int:
    return len(signed.signers) if keys is None else len({*signed.signers} & {*keys})


def external_parameters(provenance: SignedStatement | None) -> Mapping[str, Any]:
    """Return what the provenance says about the tier: names, and where its source is. Empty if it says nothing."""
    return _mapping(_mapping(provenance and provenance.statement.predicate, "buildDefinition"), "externalParameters")


def dependencies(provenance: SignedStatement | None) -> list[Mapping[str, Any]]:
    """Return what a build depended on, each with ``name``, ``uri`` and ``digest``."""
    found = _mapping(provenance and provenance.statement.predicate, "buildDefinition").get("resolvedDependencies")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _find_parent(traced: TracedTier) -> ImageIdentity | None:
    """Return the image of the parent, as far as it is known; ``None`` for a base, and if no statement names it."""
    evidence, image, provenance = traced.evidence, traced.image, traced.provenance
    if evidence.parent is None or not is_digest(evidence.parent):
        return None
    own = own_layer(provenance) if provenance else (image.layers or (None,))[-1]
    layers = image.layers[:-1] if image.layers and own == image.layers[-1] else image.layers
    manifest = _mapping(_parent(provenance), "annotations").get("manifest")
    return ImageIdentity(
        config=evidence.parent,
        manifest=manifest if isinstance(manifest, str) and is_digest(manifest) else None,
        layers=layers,
        labels={},
        reference=f"the parent of {image.reference}",
    )


def own_layer(provenance: SignedStatement) -> str | None:
    """Return the layer that the provenance names as the tier's own; ``None`` if the tier has none."""
    return next((each.digest for each in provenance.statement.subjects if each.name == LAYER), None)


def _manifest(provenance: SignedStatement) -> str | None:
    """Return the manifest that the provenance names: the subject that has the name of the tier."""
    return next((each.digest for each in provenance.statement.subjects if each.name not in {CONFIG, LAYER}), None)


def _parent(provenance: SignedStatement | None) -> Mapping[str, Any]:
    return next((each for each in dependencies(provenance) if each.get("name") == PARENT), {})


def _parent_name(traced: TracedTier) -> str | None:
    """Return the tier of the parent, as the provenance of its child names it."""
    uri = _text(_parent(traced.provenance), "uri") or ""
    return uri.removeprefix(_TIER) if uri.startswith(_TIER) else None


def _parent_config(provenance: SignedStatement | None) -> str | None:
    sha256 = _text(_mapping(_parent(provenance), "digest"), "sha256")
    return f"sha256:{sha256}" if sha256 else None


def _built(provenance: SignedStatement | None) -> datetime | None:
    definition = _mapping(provenance and provenance.statement.predicate, "buildDefinition")
    epoch = _mapping(definition, "internalParameters").get("epoch")
    if not isinstance(epoch, int) or not 0 < epoch <= _LATEST:
        return None
    return datetime.fromtimestamp(epoch, UTC)


def _text(values: Mapping[str, Any], key: str) -> str | None:
    found = values.get(key)
    return found if isinstance(found, str) else None


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    """Return the mapping at a key of a mapping; empty if something else is there. Statements can have any form."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}
