# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attaches the signed records of images to the published images, as cosign 3 stores them.

The records of an ancestor that has no registry of its own travel, too: its manifest and its configuration are written
to the repository of its published descendant, which has its layers already. So others can verify the whole line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..chain.graph import Chain
from ..chain.names import split_registry
from ..custody.bundle_artifact import LISTED_AS, make_artifact
from ..custody.image_identity import identify
from ..custody.record_store import RecordSource
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import errors_of
from ..image import labels
from ..transports.referrers import has_manifest, list_referrers
from ..transports.referrers_writer import describe_subject, write_referrers
from ..transports.registry_writer import RegistryWriter
from .attach_images import find_manifest
from .publish import PublishedTier
from .registry_tags import Connect
from .upload import upload


class RecordPublisher:
    """Attaches records to the images of one chain."""

    def __init__(
        self, engine: Engine, chain: Chain, records: RecordSource, connect: Connect, say: Callable[[str], None]
    ) -> None:
        """Take where images and records are.

        Args:
            engine: The engine, which has the released images.
            chain: The chain.
            records: The records of these images.
            connect: Returns a registry, by its host.
            say: Called with lines to print.
        """
        self._engine, self._chain, self._records, self._connect, self._say = engine, chain, records, connect, say

    def attach_records(self, published: Sequence[PublishedTier]) -> int:
        """Attach the records of published images, before their tags move. What is attached already is not sent again.

        Args:
            published: The published tiers.

        Returns:
            The number of records that were sent.

        Raises:
            DamagedError: A record, or the registry's list of records, is damaged.
            EngineError: The engine or a registry rejected a request, or does not answer.
        """
        total = 0
        for each in published:
            host, repository = split_registry(each.tier.image) or ("", "")
            with errors_of(f"tier {each.tier.name!r}: the records of its image"):
                registry = self._connect(host)
                sent = self._attach(registry, repository, each.image, each.manifest)
                for ancestor in self._unpublished_ancestors(each):
                    sent += self._attach(registry, repository, ancestor, None)
            if sent:
                self._say(
                    f"{each.tier.name}: {sent} signed statement{'s' if sent > 1 else ''} attached in the registry"
                )
            total += sent
        return total

    def _attach(self, registry: RegistryWriter, repository: str, image: Image, manifest: str | None) -> int:
        """Attach the records of one image. Without a manifest, it is written first."""
        bundles = list(self._records.bundles(identify(image, image.id, manifest)))
        if not bundles:
            return 0
        if manifest is None:
            manifest = find_manifest(registry, repository, image.id)
        if manifest is None:
            manifest = upload(self._engine, image, registry, repository, sources=(), say=self._say).manifest
        subject = describe_subject(registry, repository, manifest)
        made = [make_artifact(bundle, title, subject) for title, bundle in bundles]
        artifacts = {artifact.digest: artifact for artifact in made}
        listed = list_referrers(registry.client, repository, manifest, LISTED_AS, "bundles")
        for each in listed:
            if each.digest in artifacts and has_manifest(registry.client, repository, each.digest):
                del artifacts[each.digest]
        write_referrers(registry, repository, manifest, list(artifacts.values()))
        return len(artifacts)

    def _unpublished_ancestors(self, published: PublishedTier) -> Iterator[Image]:
        """Yield the images that an image was built on, up to the nearest one that has a registry of its own."""
        image = published.image
        for name in self._chain.ancestors(published.tier.name):
            if split_registry(self._chain[name].published_image) is not None:
                return
            parent = self._engine.images.find(image.labels.get(labels.PARENT, ""))
            if parent is None:
                return
            yield parent
            image = parent
