# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images in docker-save archives and OCI layouts.

Images in a folder that is an OCI image layout, as ``skopeo copy … oci:FOLDER`` or ``buildctl`` write it.

Images in an archive: what ``docker save`` and ``podman save`` write, of any version, and OCI layouts in a tar.

An archive is read as it comes, without going back: layers are indexed as they pass, and known by what they turn out to
be, so that nothing has to be believed of the names of its files.
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
from ..engine.chunks import Pieces
from ..errors import DamagedError, NotFoundError, TierwrightError
from ..layer_index.index import Store, index
from ..layer_index.tar_stream import Forward, Reader, content, members, unpacked
from .image_document import Document, parse
from .manifests import Blob, Blobs, Manifest, choose, fill, manifests
from .transport import Held, merged


class Layout(Blobs):
    """An OCI image layout."""

    def __init__(self, location: str, _store: Store) -> None:
        """Take the path of a folder."""
        self.title = f"OCI layout {location}"
        self._folder = Path(location)
        self._manifests: list[Manifest] | None = None

    def held(self, _repository: str = "") -> list[Held]:
        """All its images."""
        return merged(each.held for each in self._all())

    def find(self, reference: str) -> Document:
        """Find an image by the name in its index, or by ID."""
        return choose([each.document for each in self.held()], reference, self.title)

    def fill(self, document: Document, store: Store) -> None:
        """Read the layers that the store lacks."""
        chosen = next(each for each in self._all() if each.document.id == document.id)
        fill(chosen, self._opened, self.title, store)

    def file(self, name: str) -> bytes:
        """A JSON document of the layout."""
        path = self._folder / name
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST_DOCUMENT + 1)
        except OSError as error:
            raise DamagedError(f"{self.title} is damaged: {name} cannot be read ({error.strerror})") from error
        if len(content) > _LARGEST_DOCUMENT:
            raise DamagedError(f"{self.title} is damaged: {name} is larger than any description of an image")
        return content

    def _all(self) -> list[Manifest]:
        if not (self._folder / "index.json").is_file():
            raise NotFoundError(f"{self._folder} is no OCI layout: it has no index.json")
        if self._manifests is None:
            self._manifests = manifests(self)
        return self._manifests

    @contextmanager
    def _opened(self, blob: Blob) -> Iterator[Reader]:
        if not is_digest(blob.digest):
            raise DamagedError(f"{self.title} is damaged: it names layer {blob.digest!r}, expected sha256:…")
        try:
            with (self._folder / "blobs/sha256" / blob.digest.removeprefix("sha256:")).open("rb") as file:
                yield file
        except OSError as error:
            raise DamagedError(f"layer {blob.digest} in {self.title} cannot be read ({error.strerror})") from error


#: Most bytes of one JSON document, and of all of them.
_LARGEST_DOCUMENT, _LARGEST_DOCUMENTS = 8 << 20, 256 << 20

_LAYER = re.compile(r"(.*/)?layer\.tar|[0-9a-f]{64}\.tar|blobs/sha256/[0-9a-f]{64}")
_DOCUMENT = re.compile(r"[^/]+\.json|oci-layout|blobs/sha256/[0-9a-f]{64}")


@dataclass
class Passed:
    """What an archive turned out to hold."""

    #: JSON documents by the names of their files.
    documents: dict[str, bytes] = field(default_factory=dict)
    #: Bytes of the layers, by the names of their files; what they are there, compressed or not.
    layers: dict[str, int] = field(default_factory=dict)
    #: What is wrong with a layer, each a sentence.
    broken: list[str] = field(default_factory=list)


def read(source: Reader, what: str, store: Store | None) -> Passed:
    """Read an archive to its end, and put its layers into the store, if one is given.

    Raises:
        DamagedError: It is no tar archive, or is not whole.
    """
    passed = Passed()
    for member, tar in members(Forward(unpacked(source, what), what), what):
        name = member.name.removeprefix("./")
        if not member.isreg() or not (_LAYER.fullmatch(name) or _DOCUMENT.fullmatch(name)):
            continue
        pieces = content(tar, member, what)
        start = b"".join(itertools.islice(pieces, 1))
        if _is_document(start):
            passed.documents[name] = _document(start, pieces, passed, f"{name} in {what}")
            continue
        passed.layers[name] = member.size
        if store and not _known(name, store):
            _index(Pieces(itertools.chain([start], pieces)), f"layer {name} in {what}", store, passed)
    return passed


def images(passed: Passed, what: str) -> list[Held]:
    """All images of an archive that was read.

    Raises:
        DamagedError: It names what it does not hold.
        UnsupportedError: It holds nothing that is an image.
    """
    listed = passed.documents.get("manifest.json")
    if listed is None:
        return merged(each.held for each in manifests(_Archived(passed, what)))
    return merged(
        Held(document, sum(passed.layers.get(file, 0) for file in files))
        for document, files in _listed(passed, listed, what)
    )


class Saved:
    """An archive in a file."""

    def __init__(self, location: str, store: Store) -> None:
        """Take the path of a file."""
        self.title = f"archive {location}"
        self._file, self._store = Path(location), store
        self._passed: Passed | None = None

    def held(self, _repository: str = "") -> list[Held]:
        """All its images."""
        return images(self._passed or self._read(None), self.title)

    def find(self, reference: str) -> Document:
        """Find an image by name, name without tag, or ID."""
        return choose([each.document for each in self.held()], reference, self.title)

    def fill(self, document: Document, store: Store) -> None:
        """Read the whole archive once."""
        if any(store.index(layer) is None for layer in document.layers):
            self._passed = self._read(store)
            check(self._passed, document, store)

    def _read(self, store: Store | None) -> Passed:
        try:
            with self._file.open("rb") as file:
                self._passed = read(file, self.title, store)
        except OSError as error:
            raise NotFoundError(f"{self.title} cannot be read ({error.strerror})") from error
        return self._passed


def check(passed: Passed, document: Document, store: Store) -> None:
    """Tell what is wrong with a layer where a layer that is needed is missing.

    Raises:
        DamagedError: A layer is broken, and one that the image needs was not found.
    """
    if passed.broken and any(store.index(layer) is None for layer in document.layers):
        raise DamagedError(passed.broken[0])


def _is_document(start: bytes) -> bool:
    return start.lstrip()[:1] in {b"{", b"["} and start[257:262] != b"ustar"


def _document(start: bytes, pieces: Iterator[bytes], passed: Passed, what: str) -> bytes:
    held = sum(map(len, passed.documents.values()))
    text = bytearray(start)
    for piece in pieces:
        text += piece
        if len(text) > _LARGEST_DOCUMENT:
            break
    if len(text) > _LARGEST_DOCUMENT or held + len(text) > _LARGEST_DOCUMENTS:
        raise DamagedError(f"{what} is larger than any description of an image; it is not read further")
    return bytes(text)


def _known(name: str, store: Store) -> bool:
    return name.startswith("blobs/") and store.index("sha256:" + name.rpartition("/")[2]) is not None


def _index(source: Reader, what: str, store: Store, passed: Passed) -> None:
    try:
        store.add(index(unpacked(source, what), what))
    except TierwrightError as error:
        passed.broken.append(str(error))


def _listed(passed: Passed, listed: bytes, what: str) -> Iterator[tuple[Document, list[str]]]:
    """Images of ``manifest.json``, Docker's image specification v1.2, each with the files of its layers."""
    for config, names, files in _manifest(listed, what):
        text = passed.documents.get(config)
        if text is None:
            raise DamagedError(f"{what} is damaged: it names {config!r} as the configuration of an image, and lacks it")
        yield parse(text, names, what), files


def _manifest(listed: bytes, what: str) -> list[tuple[str, tuple[str, ...], list[str]]]:
    try:
        return [
            (str(each["Config"]), _names(each), [str(file) for file in each["Layers"] or ()])
            for each in json.loads(listed)
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{what} is damaged: its manifest.json is none") from error


def _names(listed: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(familiar_name(name) for name in listed.get("RepoTags") or ())


class _Archived(Blobs):
    """The files of a layout that is in a tar archive."""

    def __init__(self, passed: Passed, title: str) -> None:
        self.title, self._documents = title, passed.documents

    def file(self, name: str) -> bytes:
        found = self._documents.get(name)
        if found is None:
            raise DamagedError(f"{self.title} is damaged, or no archive of images: it has no {name}")
        return found
