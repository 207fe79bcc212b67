# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An image in a registry, as its manifest and its configuration describe it. Its layers are not read here."""

from __future__ import annotations

import msgspec

from ..errors import NotFoundError
from ..layer_index.index import Store
from ..transports.image import Stack, indexed_stack
from ..transports.image_document import Document, digest
from ..transports.manifests import Blob, Manifest, manifest, parse_object
from ..transports.registry import index_layers
from ..transports.registry_client import RegistryClient


class PublishedImage(msgspec.Struct, frozen=True):
    """An image in a registry."""

    #: The registry.
    client: RegistryClient
    #: The repository's name in the registry.
    repository: str
    #: Digest of its manifest.
    manifest: str
    #: Its configuration, byte for byte.
    config: bytes
    #: The same, parsed; ``document.id`` is the image ID.
    document: Document
    #: Its layers as they are stored, one for each layer of the document.
    blobs: tuple[Blob, ...]

    @property
    def name(self) -> str:
        """The name by which engines pull it: ``registry.example.org/operations/corebuild@sha256:…``."""
        return f"{self.client.host}/{self.repository}@{self.manifest}"


def read_published(client: RegistryClient, repository: str, reference: str) -> PublishedImage | None:
    """Read an image's manifest and configuration.

    Args:
        client: The registry.
        repository: The repository.
        reference: A tag, or the digest of the manifest.

    Returns:
        The image; ``None`` if the repository does not have it.

    Raises:
        DamagedError: A document has a different digest, or is not what it should be.
        UnsupportedError: It is not an image, or is for several platforms.
        EngineError: The registry rejected a request, or does not answer.
    """
    try:
        content = client.document(repository, "manifests", reference)
    except NotFoundError:
        return None
    title = f"{repository} in {client.title}"
    config = client.document(repository, "blobs", _config_digest(content, title))
    parsed = manifest(content, None, lambda _digest: config, title)
    return PublishedImage(client, repository, digest(content), config, parsed.document, parsed.blobs)


def open_published(image: PublishedImage, store: Store) -> Stack:
    """Open an image with its layers, which are read in the registry unless they are in the store.

    Args:
        image: The image.
        store: Cache of layer indexes; missing ones are added to it.

    Raises:
        DamagedError: A layer has a different digest, or cannot be read.
        EngineError: The registry rejected a request, or does not answer.
    """
    index_layers(image.client, image.repository, Manifest(image.document, image.blobs), store)
    return indexed_stack(image.document, store, image.client.title, image.name)


def published_id(client: RegistryClient, repository: str, reference: str) -> str | None:
    """Read the ID of an image from its manifest alone.

    Args:
        client: The registry.
        repository: The repository.
        reference: A tag, or the digest of the manifest.

    Returns:
        The ID; ``None`` if the repository does not have the image.

    Raises:
        DamagedError: The manifest has a different digest, or is not JSON.
        EngineError: The registry rejected the request, or does not answer.
    """
    try:
        content = client.document(repository, "manifests", reference)
    except NotFoundError:
        return None
    return _config_digest(content, f"{repository} in {client.title}")


def _config_digest(content: bytes, title: str) -> str:
    config = parse_object(content, title).get("config")
    return str(config.get("digest", "")) if isinstance(config, dict) else ""
