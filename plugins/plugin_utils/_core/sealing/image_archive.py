# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the archive from which an engine loads an image.

The archive has two formats in one, like those of ``docker save`` since Docker 25: Docker's image specification v1.2
(``manifest.json``), and an OCI image layout (``index.json``). Both refer to the same files. Each engine finds a format
with which it loads an image although the archive does not contain all layers:

- Docker reads ``manifest.json`` and opens only the layers that it does not have (``tarexport/load.go`` looks for the
  chain ID first).
- Podman requires every layer of a ``manifest.json``, but it tries the OCI layout first. From the layout, it opens only
  the layers that its storage does not have (``TryReusingBlob`` of containers/image).

If an engine still requires all layers, it gets them all: see :mod:`.loading`.

The length of an archive is computed before it is sent. The request then has a length and no chunks, which is faster.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from .. import stopwatch
from ..engine.chunks import Piece, ahead
from ..image.manifest import CONFIG, LAYER, MANIFEST, descriptor, image_manifest
from ..layer.tar_writer import Layer

_CHUNK = 1 << 20

#: Name of the new layer at the beginning of an archive. Its digest is only known after it has been sent.
_NEW_LAYER = "layer.tar"

#: A placeholder with the length of a digest.
_ANY_DIGEST = "sha256:" + 64 * "0"


class _SentLayer(msgspec.Struct, frozen=True):
    """The layer that is already in the archive as :data:`_NEW_LAYER`, with its size in bytes."""

    size: int


LayerContent = Path | bytes | _SentLayer

#: The engine's descriptors of layers that it has, by the digest of the layer; see :meth:`.Images.descriptors`.
Descriptors = Mapping[str, Mapping[str, Any]]

#: A file of the archive: its name and its content.
_Member = tuple[str, LayerContent]

#: Number of zero bytes at the end of an archive.
_END = 2 * tarfile.BLOCKSIZE


class DockerArchive:
    """An archive with one image without a name, in pieces. It can be read more than once."""

    def __init__(self, length: int, pieces: Callable[[], Iterator[Piece]], manifest: Callable[[], bytes]) -> None:
        """Take the archive's length and functions for its content.

        Args:
            length: Its length in bytes.
            pieces: Returns an iterator over its pieces.
            manifest: Returns the image's manifest, after the archive has been read.
        """
        self._length = length
        self._pieces = pieces
        self.manifest = manifest

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Piece]:
        return stopwatch.consuming("write", self._pieces())


def docker_archive(
    document: bytes, layers: Sequence[str], contents: Mapping[str, LayerContent], held: Descriptors
) -> DockerArchive:
    """Make the archive of an image with existing layers.

    Args:
        document: The result of :func:`..image.configuration.document`.
        layers: Digests of all layers, as in the document.
        contents: Layers that the engine may not have, by digest: an uncompressed tar archive, in a file or in memory.
        held: The engine's descriptors of the other layers, for an engine that needs them in the manifest.
    """
    manifest = _manifest(document, layers, contents, held)
    members = _members(document, layers, contents, manifest)
    return DockerArchive(_length(members), lambda: _write(members), lambda: manifest)


def archive_with_new(
    layer: Layer,
    describe: Callable[[str, str], bytes],
    below: Sequence[str],
    contents: Mapping[str, LayerContent],
    held: Descriptors,
) -> DockerArchive:
    """Make the archive of an image with a new last layer, which is read while it is sent.

    Args:
        layer: The new layer.
        describe: Returns the document, given the layer's digest and the digest of its content. The document must have
            the same length for all digests: the length is needed before the layer is read.
        below: Digests of the layers below it.
        contents: Those of them that the engine may not have, by digest.
        held: The engine's descriptors of the other layers, for an engine that needs them in the manifest.
    """

    def parts(digest: str, content: str) -> tuple[bytes, tuple[str, ...], dict[str, LayerContent]]:
        return describe(digest, content), (*below, digest), {**contents, digest: _SentLayer(layer.size)}

    def manifest(digest: str, content: str) -> bytes:
        return _manifest(*parts(digest, content), held)

    def members(digest: str, content: str) -> list[_Member]:
        return _members(*parts(digest, content), manifest(digest, content))

    def pieces() -> Iterator[Piece]:
        yield _header(_NEW_LAYER, layer.size)
        yield from ahead(layer.pieces())
        yield bytes(-layer.size % tarfile.BLOCKSIZE)
        yield from _write(members(layer.digest, layer.content))

    length = _stored(layer.size) + _length(members(_ANY_DIGEST, _ANY_DIGEST))
    return DockerArchive(length, pieces, lambda: manifest(layer.digest, layer.content))


def digest_file(path: Path) -> str:
    """Return the SHA-256 digest of a file as ``sha256:…``."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(document: bytes, layers: Sequence[str], contents: Mapping[str, LayerContent], held: Descriptors) -> bytes:
    def descriptor_of(layer: str) -> Mapping[str, Any]:
        if layer in held and layer not in contents:
            return held[layer]
        return descriptor(LAYER, layer, _size(contents.get(layer, b"")))

    config = descriptor(CONFIG, _digest(document), len(document))
    return image_manifest(config, [descriptor_of(layer) for layer in layers])


def _members(
    document: bytes, layers: Sequence[str], contents: Mapping[str, LayerContent], manifest: bytes
) -> list[_Member]:
    index = {"schemaVersion": 2, "manifests": [descriptor(MANIFEST, _digest(manifest), len(manifest))]}
    image = {"Config": _blob(_digest(document)), "RepoTags": None, "Layers": [_blob(layer) for layer in layers]}
    return [
        ("manifest.json", _json([image])),
        ("oci-layout", _json({"imageLayoutVersion": "1.0.0"})),
        ("index.json", _json(index)),
        (_blob(_digest(manifest)), manifest),
        (_blob(_digest(document)), document),
        *((_blob(digest), content) for digest, content in contents.items()),
    ]


def _write(members: Sequence[_Member]) -> Iterator[bytes]:
    for name, content in members:
        yield from _member(name, content)
    yield bytes(_END)


def _length(members: Sequence[_Member]) -> int:
    return sum(_stored(0 if isinstance(content, _SentLayer) else _size(content)) for _name, content in members) + _END


def _stored(size: int) -> int:
    """Return the size of a member in an archive, with its header and padding, in bytes."""
    return tarfile.BLOCKSIZE + size + -size % tarfile.BLOCKSIZE


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _blob(digest: str) -> str:
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def _size(content: LayerContent) -> int:
    match content:
        case bytes():
            return len(content)
        case Path():
            return content.stat().st_size
        case _SentLayer(size):
            return size


def _member(name: str, content: LayerContent) -> Iterator[bytes]:
    if isinstance(content, _SentLayer):
        yield _header(name, 0, link=_NEW_LAYER)
        return
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        yield _header(name, size)
        yield from _pieces(file)
    yield bytes(-size % tarfile.BLOCKSIZE)


def _header(name: str, size: int, link: str = "") -> bytes:
    header = tarfile.TarInfo(name)
    header.mode, header.size = 0o644, size
    if link:
        header.type, header.linkname = tarfile.LNKTYPE, link
    return header.tobuf(tarfile.GNU_FORMAT)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        yield piece
