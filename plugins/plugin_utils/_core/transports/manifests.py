# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manifests: what names the configuration and the layers of an image, in a layout or a registry.

OCI's (``manifest.md``, ``image-index.md``) and Docker's version 2, schema 2, which differ in the names of types only.
"""

from __future__ import annotations

import json
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ..chain.names import familiar_name, is_digest
from ..errors import DamagedError, NotFoundError, UnsupportedError
from ..layer_index.index import Store, index
from ..layer_index.tar_stream import Forward, Reader, unpacked
from .image_document import Document, digest, parse
from .transport import Held

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
#: Indexes may hold indexes; nobody needs more than this.
_DEEPEST = 4

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer as it is stored, compressed or not."""

    #: ``sha256:…`` of the stored bytes.
    digest: str
    #: How many they are, as the manifest says.
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image with its stored layers."""

    document: Document
    #: One for each layer of the document.
    blobs: tuple[Blob, ...]

    @property
    def held(self) -> Held:
        """The image as places list it."""
        return Held(self.document, sum(blob.size for blob in self.blobs))


class Blobs(ABC):
    """Where an OCI layout's files come from."""

    #: What it is called in messages.
    title: str

    @abstractmethod
    def file(self, name: str) -> bytes:
        """A JSON document by the path of its file: ``index.json``, ``blobs/sha256/…``.

        Raises:
            DamagedError: There is none.
        """

    def blob(self, wanted: str) -> bytes:
        """A JSON document by its digest.

        Raises:
            DamagedError: There is none, or it is not what its name says.
        """
        if not is_digest(wanted):
            raise DamagedError(f"{self.title} is damaged: it names {wanted!r}, expected sha256:…")
        content = self.file("blobs/sha256/" + wanted.removeprefix("sha256:"))
        if digest(content) != wanted:
            raise DamagedError(f"{self.title} is damaged: what it calls {wanted} is {digest(content)}")
        return content


def manifests(blobs: Blobs) -> list[Manifest]:
    """All images of a layout; what is no image (signatures, attestations) is passed over where there is one.

    Raises:
        DamagedError: The layout names what it does not hold, or holds something else.
        UnsupportedError: It holds nothing that is an image.
    """
    found: list[Manifest] = []
    refused: list[UnsupportedError] = []
    for content, name in _listed(blobs, parsed(blobs.file("index.json"), blobs.title), None, _DEEPEST):
        try:
            found.append(manifest(content, name, blobs.blob, blobs.title))
        except UnsupportedError as error:
            refused.append(error)
    if refused and not found:
        raise refused[0]
    return found


def manifest(content: bytes, name: str | None, fetch: Callable[[str], bytes], title: str) -> Manifest:
    """Read one manifest and the configuration that it names.

    Args:
        content: The manifest.
        name: The image's name; ``None`` where it has none.
        fetch: Gets a document by digest.
        title: What the place is called in messages.

    Raises:
        DamagedError: It is none, or does not match its configuration.
        UnsupportedError: It is a manifest of something else.
    """
    told = parsed(content, title)
    kind = media_type(told)
    if kind not in MANIFESTS:
        raise UnsupportedError(f"{title}: {name or digest(content)} has a manifest of type {kind!r}, which is not read")
    try:
        config, layers = told["config"], tuple(Blob(str(each["digest"]), int(each["size"])) for each in told["layers"])
        config_type, config_digest = config["mediaType"], str(config["digest"])
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{title} is damaged: its manifest {digest(content)} is none") from error
    if config_type not in _CONFIGS:
        raise UnsupportedError(f"{title}: {name or digest(content)} is no image but {config_type!r}, which is not read")
    document = parse(fetch(config_digest), (name,) if name else (), title)
    if len(layers) != len(document.layers):
        raise DamagedError(
            f"{title} is damaged: the manifest of {name or document.id} names {len(layers)} layers, "
            f"its configuration {len(document.layers)}"
        )
    return Manifest(document, layers)


def media_type(told: Any) -> str:
    """Type of a manifest or index; OCI's may leave it out."""
    if told.get("schemaVersion") == 1:
        return "application/vnd.docker.distribution.manifest.v1+json"
    return str(told.get("mediaType") or (INDEXES[0] if "manifests" in told else MANIFESTS[0]))


def parsed(content: bytes, title: str) -> Any:
    """Parse a JSON object.

    Raises:
        DamagedError: It is none.
    """
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{title} is damaged: {digest(content)} is no JSON ({error})") from error
    if not isinstance(told, dict):
        raise DamagedError(f"{title} is damaged: {digest(content)} is no JSON object")
    return told


def listed(told: Mapping[str, Any], title: str) -> list[dict[str, Any]]:
    """What an index lists; each has a digest.

    Raises:
        DamagedError: It is no index.
    """
    entries = told.get("manifests") or []
    if not isinstance(entries, list) or not all(isinstance(each, dict) and "digest" in each for each in entries):
        raise DamagedError(f"{title} is damaged: its index has an entry without a digest")
    return entries


def own_platform() -> str:
    """This machine as images write it: ``linux/amd64``."""
    machine = platform.machine()
    return f"linux/{_MACHINES.get(machine, machine)}"


def fill(
    manifest_: Manifest, opened: Callable[[Blob], AbstractContextManager[Reader]], title: str, store: Store
) -> None:
    """Put the layers of an image that the store lacks into it.

    Args:
        manifest_: The image.
        opened: Opens a layer as it is stored.
        title: What the place is called in messages.
        store: Where to.

    Raises:
        DamagedError: A layer is missing, or is not what its digests say.
    """
    for layer, blob in zip(manifest_.document.layers, manifest_.blobs, strict=True):
        if store.index(layer) is not None:
            continue
        what = f"layer {blob.digest} in {title}"
        with opened(blob) as source:
            stored = Forward(source, what)
            made = index(unpacked(stored, what), what)
            if (is_ := stored.rest()) != blob.digest:
                raise DamagedError(f"{what} is damaged: its bytes are {is_}")
        if made.digest != layer:
            raise DamagedError(f"{what} is damaged: it unpacks to {made.digest}, the image says {layer}")
        store.add(made)


def _listed(blobs: Blobs, told: Any, name: str | None, deepest: int) -> Iterator[tuple[bytes, str | None]]:
    for each in listed(told, blobs.title):
        notes = each.get("annotations")
        notes = notes if isinstance(notes, dict) else {}
        called = next((familiar_name(str(notes[key])) for key in _NAMES if notes.get(key)), name)
        content = blobs.blob(str(each["digest"]))
        inner = parsed(content, blobs.title)
        if media_type(inner) not in INDEXES:
            yield content, called
        elif deepest:
            yield from _listed(blobs, inner, called, deepest - 1)


def choose(images: list[Document], reference: str, title: str) -> Document:
    """Choose one image by name, by name without tag, or by the start of its ID; an empty reference means the only one.

    Of several platforms that of this machine is taken.

    Raises:
        NotFoundError: There is none, or more than one.
    """
    wanted = familiar_name(reference)
    chosen = {each.id: each for each in images if not reference or _is_named(each, wanted)}
    if len(chosen) > 1:
        chosen = {key: each for key, each in chosen.items() if each.platform == own_platform()} or chosen
    if len(chosen) == 1:
        return next(iter(chosen.values()))
    names = ", ".join(sorted({name for each in images for name in each.names})) or "no names"
    if reference:
        many = "more than one image" if chosen else "no image"
        raise NotFoundError(f"{title} holds {many} {reference!r}; it has {names}")
    raise NotFoundError(f"{title} holds {len(images)} images; say which one: it has {names}")


_SHORTEST_ID = 12


def _is_named(image: Document, wanted: str) -> bool:
    named = {wanted, f"{wanted}:latest"} & {familiar_name(name) for name in image.names}
    start = wanted.removeprefix("sha256:")
    return bool(named) or (len(start) >= _SHORTEST_ID and image.id.removeprefix("sha256:").startswith(start))
