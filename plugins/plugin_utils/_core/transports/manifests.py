# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Image manifests, which name the configuration and the layers of an image in a layout or a registry.

Supported are OCI's manifests (``manifest.md``, ``image-index.md``) and Docker's manifests of version 2, schema 2. They
differ only in the names of their types.
"""

from __future__ import annotations

import json
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from ..chain.names import familiar_name, is_digest
from ..errors import DamagedError, NotFoundError, UnsupportedError
from ..layer_index.index import Store, index
from ..layer_index.tar_stream import ForwardStream, Reader, unpacked
from ..progress import steps
from .image_document import Document, digest, parse
from .transport import HeldImage

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_CONFIGS = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
#: Limit for indexes inside indexes.
_MAX_DEPTH = 4

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class Blob(msgspec.Struct, frozen=True):
    """A layer as it is stored, compressed or not."""

    #: ``sha256:…`` of the stored bytes.
    digest: str
    #: Number of stored bytes, from the manifest.
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """An image with its stored layers."""

    document: Document
    #: One for each layer of the document.
    blobs: tuple[Blob, ...]

    @property
    def held_image(self) -> HeldImage:
        """The image as a place lists it."""
        return HeldImage(self.document, sum(blob.size for blob in self.blobs))


class Blobs(ABC):
    """The files of an OCI layout."""

    #: The layout's name in messages.
    title: str

    @abstractmethod
    def file(self, name: str) -> bytes:
        """Return the JSON document at a path: ``index.json``, ``blobs/sha256/…``.

        Raises:
            DamagedError: There is no such file.
        """

    def blob(self, wanted: str) -> bytes:
        """Return the JSON document with this digest.

        Raises:
            DamagedError: There is no such file, or its content has a different digest.
        """
        if not is_digest(wanted):
            raise DamagedError(f"{self.title} is damaged: it names {wanted!r}, expected sha256:…")
        content = self.file("blobs/sha256/" + wanted.removeprefix("sha256:"))
        if digest(content) != wanted:
            raise DamagedError(f"{self.title} is damaged: its file for {wanted} has the digest {digest(content)}")
        return content


def manifests(blobs: Blobs) -> list[Manifest]:
    """Return all images of a layout. Other content (signatures, attestations) is ignored if there is an image.

    Raises:
        DamagedError: A file of the layout is missing, or has a different digest.
        UnsupportedError: The layout has no image of a supported format.
    """
    images: list[Manifest] = []
    errors: list[UnsupportedError] = []
    for content, name in _walk_index(blobs, parse_object(blobs.file("index.json"), blobs.title), None, _MAX_DEPTH):
        try:
            images.append(manifest(content, name, blobs.blob, blobs.title))
        except UnsupportedError as error:
            errors.append(error)
    if errors and not images:
        raise errors[0]
    return images


def manifest(content: bytes, name: str | None, fetch: Callable[[str], bytes], title: str) -> Manifest:
    """Parse one manifest, and fetch the configuration that it names.

    Args:
        content: The manifest.
        name: The image's name; ``None`` if it has no name.
        fetch: Returns the content with a given digest.
        title: The place's name in messages.

    Raises:
        DamagedError: It is not a manifest, or does not match its configuration.
        UnsupportedError: It is not the manifest of an image, or its format is not supported.
    """
    info = parse_object(content, title)
    kind = media_type(info)
    if kind not in MANIFESTS:
        raise UnsupportedError(
            f"{title}: {name or digest(content)} has a manifest of type {kind!r}, which is not supported"
        )
    try:
        config, layers = info["config"], tuple(Blob(str(each["digest"]), int(each["size"])) for each in info["layers"])
        config_type, config_digest = config["mediaType"], str(config["digest"])
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{title} is damaged: {digest(content)} is not a valid manifest") from error
    if config_type not in _CONFIGS:
        raise UnsupportedError(
            f"{title}: {name or digest(content)} is not an image: its configuration has the type {config_type!r}, "
            "which is not supported"
        )
    document = parse(fetch(config_digest), (name,) if name else (), title)
    if len(layers) != len(document.layers):
        raise DamagedError(
            f"{title} is damaged: the manifest of {name or document.id} names {len(layers)} layers, "
            f"but its configuration names {len(document.layers)}"
        )
    return Manifest(document, layers)


def media_type(info: Any) -> str:
    """Return the type of a manifest or index. OCI documents may omit the type."""
    if info.get("schemaVersion") == 1:
        return "application/vnd.docker.distribution.manifest.v1+json"
    return str(info.get("mediaType") or (INDEXES[0] if "manifests" in info else MANIFESTS[0]))


def parse_object(content: bytes, title: str) -> Any:
    """Parse a JSON object.

    Raises:
        DamagedError: The content is not a JSON object.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{title} is damaged: {digest(content)} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise DamagedError(f"{title} is damaged: {digest(content)} is not a JSON object")
    return value


def index_entries(info: Mapping[str, Any], title: str) -> list[dict[str, Any]]:
    """Return the entries of an index. Each of them has a digest.

    Raises:
        DamagedError: The object is not an index.
    """
    entries = info.get("manifests") or []
    if not isinstance(entries, list) or not all(isinstance(each, dict) and "digest" in each for each in entries):
        raise DamagedError(f"{title} is damaged: its index has an entry without a digest")
    return entries


def own_platform() -> str:
    """Return the platform of this machine as images name it: ``linux/amd64``."""
    machine = platform.machine()
    return f"linux/{_MACHINES.get(machine, machine)}"


def fill(
    manifest_: Manifest, open_blob: Callable[[Blob], AbstractContextManager[Reader]], title: str, store: Store
) -> None:
    """Index the layers of an image that the store lacks.

    Args:
        manifest_: The image.
        open_blob: Opens a layer as it is stored.
        title: The place's name in messages.
        store: Cache of layer indexes.

    Raises:
        DamagedError: A layer is missing, or has a different digest.
    """
    layers = zip(manifest_.document.layers, manifest_.blobs, strict=True)
    for layer, blob in steps(layers, "reading layers", len(manifest_.blobs)):
        if store.index(layer) is not None:
            continue
        what = f"layer {blob.digest} in {title}"
        with open_blob(blob) as source:
            stored = ForwardStream(source, what)
            layer_index = index(unpacked(stored, what), what)
            if (actual := stored.rest()) != blob.digest:
                raise DamagedError(f"{what} is damaged: its content has the digest {actual}")
        if layer_index.digest != layer:
            raise DamagedError(
                f"{what} is damaged: unpacked, it has the digest {layer_index.digest}; "
                f"the configuration of the image expects {layer}"
            )
        store.add(layer_index)


def _walk_index(blobs: Blobs, info: Any, name: str | None, depth: int) -> Iterator[tuple[bytes, str | None]]:
    for entry in index_entries(info, blobs.title):
        annotations = entry.get("annotations")
        annotations = annotations if isinstance(annotations, dict) else {}
        entry_name = next((familiar_name(str(annotations[key])) for key in _NAMES if annotations.get(key)), name)
        content = blobs.blob(str(entry["digest"]))
        inner = parse_object(content, blobs.title)
        if media_type(inner) not in INDEXES:
            yield content, entry_name
        elif depth:
            yield from _walk_index(blobs, inner, entry_name, depth - 1)


def choose(images: list[Document], reference: str, title: str) -> Document:
    """Choose one image by name, by name without tag, or by the start of its ID. Empty means the only image.

    If several platforms match, the image for this machine's platform is chosen.

    Raises:
        NotFoundError: No image matches, or more than one.
    """
    wanted = familiar_name(reference)
    matches = {each.id: each for each in images if not reference or _is_named(each, wanted)}
    if len(matches) > 1:
        matches = {key: each for key, each in matches.items() if each.platform == own_platform()} or matches
    if len(matches) == 1:
        return next(iter(matches.values()))
    names = ", ".join(sorted({name for each in images for name in each.names})) or "no names"
    if reference:
        count = "more than one image" if matches else "no image"
        raise NotFoundError(f"{title} has {count} {reference!r}; its names: {names}")
    raise NotFoundError(f"{title} has {len(images)} images; name one of them: {names}")


_SHORTEST_ID = 12


def _is_named(image: Document, wanted: str) -> bool:
    named = {wanted, f"{wanted}:latest"} & {familiar_name(name) for name in image.names}
    start = wanted.removeprefix("sha256:")
    return bool(named) or (len(start) >= _SHORTEST_ID and image.id.removeprefix("sha256:").startswith(start))
