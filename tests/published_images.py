"""Images of tiers in the registry of tests, as another team publishes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Protection, protections_to_text
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.manifest import (
    CONFIG,
    LAYER,
    descriptor,
    image_manifest,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.attach import attach
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_registry import FakeRegistry, digest
from made_images import config, layer, tier_step

PACKAGE = "Package: ssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n"


def tier_layer(version: int, *more: tuple[str, Any]) -> bytes:
    """A layer with a package of this version, and more entries."""
    return layer(("var/lib/dpkg/status", PACKAGE.format(version).encode()), *more)


def identity(tier: str, team: str = "operations", chain: str = "ops", **more: str) -> dict[str, str]:
    """The labels of a tier's image."""
    key = hashlib.sha256(f"{tier} {sorted(more.items())}".encode()).hexdigest()
    return {labels.TIER: tier, labels.TEAM: team, labels.CHAIN: chain, labels.KEY: key, **more}


def protecting(tier: str, *paths: str) -> dict[str, str]:
    """The label of protected paths."""
    return {labels.PROTECTS: protections_to_text([Protection(tier, "operations", paths)])}


def publish(
    registry: FakeRegistry,
    repository: str,
    tag: str,
    layers: Sequence[bytes],
    *,
    image_labels: dict[str, str] | None = None,
    owners: Sequence[str] = ("base", "corebuild"),
    **settings: Any,
) -> tuple[str, str]:
    """Publish an image, and return the digests of its manifest and of its configuration."""
    steps = [tier_step(owner, "operations") for owner in owners]
    own = identity(owners[-1]) if image_labels is None else image_labels
    document = config(layers, steps, Labels=own, **settings)
    for blob in (document, *layers):
        registry.blobs[repository, digest(blob)] = blob
    content = image_manifest(
        descriptor(CONFIG, digest(document), len(document)),
        [descriptor(LAYER, digest(blob), len(blob)) for blob in layers],
    )
    return registry.put(repository, tag, content), digest(document)


def publish_attachment(registry: FakeRegistry, repository: str, manifest: str, place: Any, tests: Any) -> str:
    """Attach a place and tests to a published image, and return the digest of the attachment."""
    return attach(RegistryWriter(registry.host), repository, manifest, place, tests)


def manifest_of(registry: FakeRegistry, repository: str, tag: str) -> Any:
    """The manifest that a tag names."""
    return json.loads(registry.manifests[repository, registry.tags[repository, tag]])
