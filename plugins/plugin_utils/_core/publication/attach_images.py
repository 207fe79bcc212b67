# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attaches to all published images of a chain: their places, with the parent's digest, and their contract tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..chain.graph import Chain
from ..chain.names import split_registry
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import NotFoundError, RunError, errors_of
from ..handover.attachments import PublishedParent, PublishedPlace
from ..image import labels
from ..image.manifest import CONFIG, LAYER, descriptor, image_manifest
from ..transports.image_document import digest, parse
from ..transports.registry_writer import RegistryWriter
from .attach import attach
from .publish import PublishedTier
from .registry_tags import Connect
from .travelling_tests import tests_with_network, travelling_tests


class Attacher:
    """Attaches to the images of one chain."""

    def __init__(
        self,
        engine: Engine,
        chain: Chain,
        tests: Callable[[str], Path | None],
        connect: Connect,
        say: Callable[[str], None],
    ) -> None:
        """Take where images and tests are.

        Args:
            engine: The engine, which has the released images.
            chain: The chain.
            tests: Returns the folder of the tests of a tier's role; ``None`` if it has none.
            connect: Returns a registry, by its host.
            say: Called with lines to print.
        """
        self._engine, self._chain, self._tests, self._connect, self._say = engine, chain, tests, connect, say
        #: Digests of published manifests, by the ID of the image.
        self._manifests: dict[str, str] = {}

    def attach_images(self, published: Sequence[PublishedTier]) -> dict[str, str]:
        """Attach to published images, before their tags move. An image that has this attachment already keeps it.

        Args:
            published: The published tiers, parents before children.

        Returns:
            Digests of the attachments, by tier.

        Raises:
            RunError: The parent of an image is not published, or the tests of a tier cannot travel.
            EngineError: The engine or a registry rejected a request, or does not answer.
        """
        digests = {}
        for each in published:
            with errors_of(f"tier {each.tier.name!r}"):
                digests[each.tier.name] = self._attach(each.tier, each.image, each.manifest)
        return digests

    def _attach(self, tier: Tier, image: Image, manifest: str) -> str:
        host, repository = split_registry(tier.image) or ("", "")
        self._manifests[image.id] = manifest
        folder = self._tests(tier.name)
        own = [protection for protection in labels.protections(image.labels) if protection.tier == tier.name]
        place = PublishedPlace(
            tier=tier.name,
            team=image.labels.get(labels.TEAM, ""),
            chain=image.labels.get(labels.CHAIN, ""),
            parent=self._find_parent(tier, image),
            protects=tuple(path for protection in own for path in protection.paths),
        )
        files = travelling_tests(folder) if folder else {}
        if online := tests_with_network(files):
            self._say(
                f"contracts of tier {tier.name!r} that are marked 'network' are skipped where other teams run them: "
                f"{', '.join(online)}"
            )
        return attach(self._connect(host), repository, manifest, place, files)

    def _find_parent(self, tier: Tier, image: Image) -> PublishedParent | None:
        """Find the nearest ancestor in a registry: the image that this one was built on, and no later one."""
        for name in self._chain.ancestors(tier.name):
            parent_id, ancestor = image.labels.get(labels.PARENT, ""), self._chain[name].published_image
            published = split_registry(ancestor)
            if published is not None:
                manifest = self._manifests.get(parent_id) or find_manifest(
                    self._connect(published[0]), published[1], parent_id
                )
                if manifest is None:
                    raise RunError(
                        f"it cannot be published, because it was built on image {parent_id} of tier {name!r}, which is "
                        f"not in {ancestor}; publish {name!r}, or build {tier.name!r} again"
                    )
                return PublishedParent(ancestor, manifest)
            if self._tests(name) is not None:
                self._say(
                    f"the contracts of tier {name!r} do not travel with tier {tier.name!r}, because tier_image of "
                    f"{name!r} names no registry"
                )
            parent = self._engine.images.find(parent_id)
            if parent is None:
                return None
            image = parent
        return None


def find_manifest(registry: RegistryWriter, repository: str, image: str) -> str | None:
    """Return the digest of the manifest under which an image is published; ``None`` if it is not.

    Raises:
        DamagedError: The registry returned a different document.
        EngineError: The registry rejected a request, or does not answer.
    """
    try:
        config = registry.client.document(repository, "blobs", image)
        document = parse(config, (), f"{repository} in {registry.title}")
        sizes = [(layer, registry.blob_size(repository, layer)) for layer in document.layers]
        layers = [descriptor(LAYER, layer, size) for layer, size in sizes if size is not None]
        manifest = digest(image_manifest(descriptor(CONFIG, image, len(config)), layers))
        registry.manifest(repository, manifest)
    except NotFoundError:
        return None
    return manifest
