"""A signed chain in the registry of tests: each tier in a repository of its own, as its team publishes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.bundle_artifact import make_artifact
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.release_record import (
    ChainRelease,
    ReleasedTier,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.attachments import (
    PublishedParent,
    PublishedPlace,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.attach import attach
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.referrers_writer import (
    describe_subject,
    write_artifact,
    write_referrers,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_registry import FakeRegistry, digest
from signed_chain import CHAIN, TIERS, SignedChain, SignedImage

RECORD = "release-record"


class PublishedChain:
    """The repositories of a signed chain."""

    def __init__(self, registry: FakeRegistry, chain: SignedChain, tiers: Sequence[str] = tuple(TIERS)) -> None:
        """Publish the tiers, the base first, with all their records, and the release record."""
        self.registry, self.chain, self.tiers = registry, chain, tiers
        self.writer = RegistryWriter(registry.host)
        for tier in tiers:
            self.put(chain[tier], "latest")
        self.release(1)

        self._saved = self._contents()

    def restore(self) -> None:
        """Undo what tests did to the registry and to the records in memory. Publishing again takes a second."""
        (blobs, manifests, tags), bundles = self._saved
        self.registry.blobs, self.registry.manifests, self.registry.tags = dict(blobs), dict(manifests), dict(tags)
        self.registry.requests.clear()
        self.registry.fault, self.registry.wild = (lambda _method, _path: None), (lambda _request: False)
        for tier, each in bundles.items():
            self.chain[tier].bundles = list(each)

    def _contents(self) -> Any:
        registry = self.registry
        bundles = {tier: list(image.bundles) for tier, image in self.chain.images.items()}
        return (dict(registry.blobs), dict(registry.manifests), dict(registry.tags)), bundles

    def name(self, tier: str) -> str:
        """The name of a tier's image, without tag."""
        return f"{self.registry.host}/shop/{tier}"

    def put(self, image: SignedImage, tag: str) -> str:
        """Publish an image of a tier, and return the digest of its manifest."""
        repository = f"shop/{image.tier}"
        for blob in (image.document, *image.layers):
            self.registry.blobs[repository, digest(blob)] = blob
        manifest = self.registry.put(repository, tag, image.manifest)
        above = image.parent
        parent = PublishedParent(self.name(above.tier), digest(above.manifest)) if above else None
        attach(self.writer, repository, manifest, PublishedPlace(image.tier, TIERS[image.tier], CHAIN, parent, ()), {})
        self.attach(image, image.bundles)
        return manifest

    def attach(self, image: SignedImage, bundles: Sequence[bytes]) -> None:
        """Attach bundles to an image."""
        repository, manifest = f"shop/{image.tier}", digest(image.manifest)
        subject = describe_subject(self.writer, repository, manifest)
        made = [make_artifact(bundle, "a bundle", subject) for bundle in bundles]
        write_referrers(self.writer, repository, manifest, made)

    def release(self, serial: int, person: str = "alice", *, days: int = 13) -> None:
        """Sign a release record of the images, and let its tags name it."""
        now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
        images = {tier: self.chain[tier] for tier in self.tiers}
        record = ChainRelease(
            chain=CHAIN,
            serial=serial,
            previous=digest(b"before") if serial > 1 else None,
            created=now - timedelta(days=1 if days > 0 else 20),
            expires=now + timedelta(days=days),
            tiers={
                tier: ReleasedTier(digest(image.manifest), digest(image.document), "latest")
                for tier, image in images.items()
            },
        )
        key = self.chain.keys[person]
        artifact = make_artifact(write_bundle(sign_statement(record.statement, key), key.public_key), "the record")
        for tier in self.tiers:
            write_artifact(self.writer, f"shop/{tier}", artifact, RECORD)

    def records(self, tier: str) -> Iterator[tuple[str, bytes]]:
        """The bundles in the repository of a tier, by their digests there."""
        for (repository, key), content in self.registry.blobs.items():
            if repository == f"shop/{tier}" and b"dsseEnvelope" in content:
                yield key, content
