# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads images from a registry. Every document and layer must have the digest that was requested."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..chain.names import is_digest, is_repository, is_tag
from ..engine.chunks import ChunkReader
from ..errors import DamagedError, UnsupportedError, UsageError
from ..http_client import seconds_for
from ..layer_index.index import Store
from ..layer_index.tar_stream import Reader
from .image_document import Document
from .manifests import (
    INDEXES,
    Blob,
    Manifest,
    fill,
    index_entries,
    manifest,
    media_type,
    own_platform,
    parse_object,
)
from .registry_client import RegistryClient
from .transport import HeldImage, merge_names

#: Limit for the pages of a list of tags.
_MAX_PAGES = 1000

#: Tags for what is attached to an image: the fallback of the referrers API, and signatures of cosign.
_ATTACHED = re.compile(r"sha256-[0-9a-f]{64}(\..*)?")


class Registry:
    """One registry."""

    def __init__(self, location: str, _store: Store) -> None:
        """Take a host, if necessary with a port: ``registry.example.org:5000``. No connection is opened yet."""
        self._host = location
        self._client = RegistryClient(location)
        self.title = self._client.title
        #: Repository and manifest of the images that were read, by ID.
        self._manifests: dict[str, tuple[str, Manifest]] = {}

    def list_images(self, repository: str = "") -> list[HeldImage]:
        """Return all tagged images of a repository, for this machine's platform.

        Other content is ignored if there is an image: attachments, verdicts, signatures, and other platforms.
        """
        if not is_repository(repository):
            raise UsageError(f"{self.title} cannot be listed; name a repository: docker://{self._host}/NAME")
        images: list[HeldImage] = []
        errors: list[UnsupportedError] = []
        for tag in list_tags(self._client, repository):
            if _ATTACHED.fullmatch(tag):
                continue
            try:
                images.append(self._read_manifest(repository, tag).held_image)
            except UnsupportedError as error:
                errors.append(error)
        if errors and not images:
            raise errors[0]
        return merge_names(images)

    def find(self, reference: str) -> Document:
        """Find an image by ``name:tag`` or ``name@sha256:…``; a name alone means the tag ``latest``."""
        return self._read_manifest(*_split_reference(reference)).document

    def fill(self, document: Document, store: Store) -> None:
        """Index the layers that the store lacks. :meth:`find` or :meth:`list_images` must have returned the image."""
        index_layers(self._client, *self._manifests[document.id], store)

    def _read_manifest(self, name: str, wanted: str) -> Manifest:
        """Read the manifest of an image, and remember it for :meth:`fill`."""
        image_manifest = self._fetch_manifest(name, wanted)
        self._manifests[image_manifest.document.id] = (name, image_manifest)
        return image_manifest

    def _fetch_manifest(self, name: str, wanted: str) -> Manifest:
        title = f"{name}:{wanted} in {self.title}"
        content = self._client.document(name, "manifests", wanted)
        info = parse_object(content, title)
        if media_type(info) in INDEXES:
            content = self._client.document(name, "manifests", _digest_for_this_machine(info, title))
        return manifest(
            content, f"{self._host}/{name}:{wanted}", lambda key: self._client.document(name, "blobs", key), title
        )


def list_tags(client: RegistryClient, repository: str) -> Iterator[str]:
    """Yield the tags of a repository.

    Raises:
        NotFoundError: The registry does not have the repository.
        DamagedError: The list is not a list of tags, or does not end.
        EngineError: The registry rejected a request, or does not answer.
    """
    path: str | None = f"{repository}/tags/list"
    visited: set[str] = set()
    while path is not None:
        if path in visited or len(visited) == _MAX_PAGES:
            raise DamagedError(f"{client.title} is damaged: its list of the tags of {repository} does not end ({path})")
        visited.add(path)
        with client.get(repository, path, f"repository {repository}") as answer:
            tags = parse_object(client.read(answer), client.title).get("tags") or []
            if not isinstance(tags, list):
                raise DamagedError(f"{client.title} is damaged: its answer to {path} is not a list of tags")
            yield from (tag for tag in map(str, tags) if is_tag(tag))
            path = client.next_page(path, answer)


def index_layers(client: RegistryClient, repository: str, image: Manifest, store: Store) -> None:
    """Index the layers of an image that the store lacks.

    Args:
        client: The registry.
        repository: The repository.
        image: The image.
        store: Cache of layer indexes.

    Raises:
        NotFoundError: The repository does not have a layer.
        DamagedError: A layer has a different digest, or cannot be read.
        EngineError: The registry rejected a request, or does not answer.
    """

    @contextmanager
    def open_blob(blob: Blob) -> Iterator[Reader]:
        if not is_digest(blob.digest):
            raise DamagedError(f"{client.title} is damaged: it names layer {blob.digest!r}, expected sha256:…")
        with client.get(repository, f"{repository}/blobs/{blob.digest}", f"layer {blob.digest}") as answer:
            yield ChunkReader(answer.chunks(seconds_for(blob.size)))

    fill(image, open_blob, client.title, store)


def _digest_for_this_machine(info: Mapping[str, Any], title: str) -> str:
    wanted, offered = own_platform(), []
    for entry in index_entries(info, title):
        platform = entry.get("platform")
        if not isinstance(platform, dict):
            continue
        offered.append(f"{platform.get('os')}/{platform.get('architecture')}")
        if offered[-1] == wanted and is_digest(str(entry.get("digest"))):
            return str(entry["digest"])
    raise UnsupportedError(f"{title} is for {', '.join(offered) or 'no platform'}, not for this machine's {wanted}")


def _split_reference(reference: str) -> tuple[str, str]:
    name, at, wanted = reference.partition("@")
    if not at:
        name, _, wanted = reference.partition(":")
    wanted = wanted or "latest"
    if not is_repository(name) or not (is_digest(wanted) if at else is_tag(wanted)):
        raise UsageError(f"{reference!r} is not the name of an image in a registry; expected NAME:TAG or NAME@sha256:…")
    return name, wanted
