# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads images from OCI image layouts, and from archives of ``docker save`` and ``podman save``.

A layout is a folder, as ``skopeo copy … oci:FOLDER`` or ``buildctl`` write it, or the same files in a tar archive.

An archive is read once, from start to end. Each layer is indexed when the archive reaches it, and identified by the
digest of its content. The names of the files are not trusted.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..chain.names import familiar_name, is_digest
from ..engine.chunks import ChunkReader
from ..errors import DamagedError, NotFoundError, TierwrightError
from ..layer_index.index import Store, index
from ..layer_index.tar_stream import ForwardStream, Reader, content, members, unpacked
from ..progress import work
from ..text import size
from .image_document import Document, parse
from .manifests import Blob, Blobs, Manifest, choose, fill, manifests
from .transport import HeldImage, merge_names


class Layout(Blobs):
    """An OCI image layout."""

    def __init__(self, location: str, _store: Store) -> None:
        """Take the path of a folder."""
        self.title = f"OCI layout {location}"
        self._folder = Path(location)
        self._manifests: list[Manifest] | None = None

    def list_images(self, _repository: str = "") -> list[HeldImage]:
        """Return all images of the layout."""
        return merge_names(each.held_image for each in self._all())

    def find(self, reference: str) -> Document:
        """Find an image by its name in the index, or by ID."""
        return choose([each.document for each in self.list_images()], reference, self.title)

    def fill(self, document: Document, store: Store) -> None:
        """Index the layers that the store lacks."""
        chosen = next(each for each in self._all() if each.document.id == document.id)
        fill(chosen, self._open_blob, self.title, store)

    def file(self, name: str) -> bytes:
        """Return a JSON document of the layout."""
        path = self._folder / name
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST_DOCUMENT + 1)
        except OSError as error:
            raise DamagedError(f"{self.title} is damaged: {name} cannot be read ({error.strerror})") from error
        if len(content) > _LARGEST_DOCUMENT:
            raise DamagedError(f"{self.title} is damaged: {name} is larger than the limit of {_LARGEST_DOCUMENT} bytes")
        return content

    def _all(self) -> list[Manifest]:
        if not (self._folder / "index.json").is_file():
            raise NotFoundError(f"{self._folder} is not an OCI layout: it has no index.json")
        if self._manifests is None:
            self._manifests = manifests(self)
        return self._manifests

    @contextmanager
    def _open_blob(self, blob: Blob) -> Iterator[Reader]:
        if not is_digest(blob.digest):
            raise DamagedError(f"{self.title} is damaged: it names layer {blob.digest!r}, expected sha256:…")
        try:
            with (self._folder / "blobs/sha256" / blob.digest.removeprefix("sha256:")).open("rb") as file:
                yield file
        except OSError as error:
            raise DamagedError(f"layer {blob.digest} in {self.title} cannot be read ({error.strerror})") from error


#: Size limits in bytes: of one JSON document, and of all JSON documents together.
_LARGEST_DOCUMENT, _LARGEST_DOCUMENTS = 8 << 20, 256 << 20

_LAYER = re.compile(r"(.*/)?layer\.tar|[0-9a-f]{64}\.tar|blobs/sha256/[0-9a-f]{64}")
_DOCUMENT = re.compile(r"[^/]+\.json|oci-layout|blobs/sha256/[0-9a-f]{64}")


@dataclass
class ArchiveContent:
    """The content of an archive, without the layers' files."""

    #: JSON documents by the names of their files.
    documents: dict[str, bytes] = field(default_factory=dict)
    #: Number of stored bytes of each layer, compressed or not, by the names of their files.
    layers: dict[str, int] = field(default_factory=dict)
    #: One error message for each damaged layer.
    broken: list[str] = field(default_factory=list)


def read(source: Reader, what: str, store: Store | None) -> ArchiveContent:
    """Read an archive to its end. If there is a store, add the indexes of the layers to it.

    Args:
        source: The archive, compressed or not.
        what: The archive's name in messages.
        store: Cache of layer indexes; ``None`` to read only the JSON documents.

    Raises:
        DamagedError: It is not a tar archive, or is incomplete.
    """
    archive = ArchiveContent()
    with work("reading layers") as reading:
        for member, tar in members(ForwardStream(unpacked(source, what), what), what):
            name = member.name.removeprefix("./")
            if not member.isreg() or not (_LAYER.fullmatch(name) or _DOCUMENT.fullmatch(name)):
                continue
            pieces = content(tar, member, what)
            start = b"".join(itertools.islice(pieces, 1))
            if _is_document(start):
                archive.documents[name] = _read_document(start, pieces, archive, f"{name} in {what}")
                continue
            reading.step(size(member.size))
            archive.layers[name] = member.size
            if store and not _is_cached(name, store):
                _add_index(ChunkReader(itertools.chain([start], pieces)), f"layer {name} in {what}", store, archive)
    return archive


def images(archive: ArchiveContent, what: str) -> list[HeldImage]:
    """Return all images of an archive.

    Raises:
        DamagedError: A file that the archive names is missing or invalid.
        UnsupportedError: The archive has no image of a supported format.
    """
    manifest_json = archive.documents.get("manifest.json")
    if manifest_json is None:
        return merge_names(each.held_image for each in manifests(_ArchivedLayout(archive, what)))
    return merge_names(
        HeldImage(document, sum(archive.layers.get(file, 0) for file in files))
        for document, files in _saved_images(archive, manifest_json, what)
    )


class SavedArchive:
    """An archive in a file."""

    def __init__(self, location: str, store: Store) -> None:
        """Take the path of a file."""
        self.title = f"archive {location}"
        self._file, self._store = Path(location), store
        self._content: ArchiveContent | None = None

    def list_images(self, _repository: str = "") -> list[HeldImage]:
        """Return all images of the archive."""
        return images(self._content or self._read(None), self.title)

    def find(self, reference: str) -> Document:
        """Find an image by name, name without tag, or ID."""
        return choose([each.document for each in self.list_images()], reference, self.title)

    def fill(self, document: Document, store: Store) -> None:
        """Index all layers of the archive, if the store lacks one that the image needs."""
        if any(store.index(layer) is None for layer in document.layers):
            self._content = self._read(store)
            check(self._content, document, store)

    def _read(self, store: Store | None) -> ArchiveContent:
        try:
            with self._file.open("rb") as file:
                self._content = read(file, self.title, store)
        except OSError as error:
            raise NotFoundError(f"{self.title} cannot be read ({error.strerror})") from error
        return self._content


def check(archive: ArchiveContent, document: Document, store: Store) -> None:
    """Report a damaged layer of the archive if a layer of the image is missing.

    Raises:
        DamagedError: The store lacks a layer of the image, and the archive has a damaged layer.
    """
    if archive.broken and any(store.index(layer) is None for layer in document.layers):
        raise DamagedError(archive.broken[0])


def _is_document(start: bytes) -> bool:
    return start.lstrip()[:1] in {b"{", b"["} and start[257:262] != b"ustar"


def _read_document(start: bytes, pieces: Iterator[bytes], archive: ArchiveContent, what: str) -> bytes:
    previous_size = sum(map(len, archive.documents.values()))
    text = bytearray(start)
    for piece in pieces:
        text += piece
        if len(text) > _LARGEST_DOCUMENT:
            break
    if len(text) > _LARGEST_DOCUMENT or previous_size + len(text) > _LARGEST_DOCUMENTS:
        raise DamagedError(
            f"{what} is larger than the limit of {_LARGEST_DOCUMENT >> 20} MiB for a JSON document, "
            f"or of {_LARGEST_DOCUMENTS >> 20} MiB for all of them; reading stopped there"
        )
    return bytes(text)


def _is_cached(name: str, store: Store) -> bool:
    return name.startswith("blobs/") and store.index("sha256:" + name.rpartition("/")[2]) is not None


def _add_index(source: Reader, what: str, store: Store, archive: ArchiveContent) -> None:
    try:
        store.add(index(unpacked(source, what), what))
    except TierwrightError as error:
        archive.broken.append(str(error))


def _saved_images(archive: ArchiveContent, manifest_json: bytes, what: str) -> Iterator[tuple[Document, list[str]]]:
    """Yield the images of ``manifest.json`` (Docker's image specification v1.2), each with the files of its layers."""
    for config, names, files in _parse_manifest_json(manifest_json, what):
        text = archive.documents.get(config)
        if text is None:
            raise DamagedError(
                f"{what} is damaged: it names {config!r} as the configuration of an image, but the file is missing"
            )
        yield parse(text, names, what), files


def _parse_manifest_json(content: bytes, what: str) -> list[tuple[str, tuple[str, ...], list[str]]]:
    try:
        return [
            (str(entry["Config"]), _names(entry), [str(file) for file in entry["Layers"] or ()])
            for entry in json.loads(content)
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{what} is damaged: its manifest.json is not valid") from error


def _names(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(familiar_name(name) for name in entry.get("RepoTags") or ())


class _ArchivedLayout(Blobs):
    """The files of an OCI layout in a tar archive."""

    def __init__(self, archive: ArchiveContent, title: str) -> None:
        self.title, self._documents = title, archive.documents

    def file(self, name: str) -> bytes:
        content = self._documents.get(name)
        if content is None:
            raise DamagedError(f"{self.title} is damaged, or is not an archive of images: it has no {name}")
        return content
