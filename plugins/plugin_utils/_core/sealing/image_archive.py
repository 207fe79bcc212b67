# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The archive that an engine loads images from.

It is two formats in one, as ``docker save`` writes since Docker 25: Docker's image specification v1.2
(``manifest.json``), and an OCI image layout (``index.json``). Both name the same files, so that each engine finds the
one that it opens without all layers being there:

- Docker reads ``manifest.json`` and opens only the layers that it lacks (``tarexport/load.go`` looks for the chain ID
  first).
- Podman wants every layer of a ``manifest.json``, but tries the OCI layout before it, and of that it opens only what
  its storage lacks (``TryReusingBlob`` of containers/image).

An engine that wants all layers all the same gets them all: see :mod:`.loading`.

How long an archive is follows from what is in it, so it is sent with its length and not in chunks, which an engine
takes in less time.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..engine.chunks import Piece, ahead
from ..layer.tar_writer import Layer

_CHUNK = 1 << 20

#: Where a layer lies in an archive whose beginning it is: its digest, which names it, is known when it has been sent.
_NEW = "layer.tar"

#: As long as any digest.
_ANY = "sha256:" + 64 * "0"


@dataclass(frozen=True, slots=True)
class _Sent:
    """A layer that the archive has already, as :data:`_NEW`."""

    size: int


LayerContent = Path | bytes | _Sent

#: How an engine keeps layers that it has, by their digests; see :meth:`.Images.descriptors`.
Descriptors = Mapping[str, Mapping[str, Any]]

#: A file of the archive: its name, and what is in it.
_Member = tuple[str, LayerContent]

#: Bytes that end an archive.
_END = 2 * tarfile.BLOCKSIZE

# Docker's types and not OCI's: with those, Podman forgets the health check, which OCI's configuration has not.
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


class DockerArchive:
    """An archive with one image and no name for it, in pieces; it may be read more than once."""

    def __init__(self, length: int, pieces: Callable[[], Iterator[Piece]], manifest: Callable[[], bytes]) -> None:
        """Take its length in bytes, what reads it, and what gives the image's manifest once it has been read."""
        self._length = length
        self._pieces = pieces
        self.manifest = manifest

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Piece]:
        return self._pieces()


def docker_archive(
    document: bytes, layers: Sequence[str], contents: Mapping[str, LayerContent], held: Descriptors
) -> DockerArchive:
    """Describe the archive of an image whose layers lie ready.

    Args:
        document: What :func:`..image.configuration.document` wrote.
        layers: Digests of all layers, as the document names them.
        contents: Layers that the engine may lack, by digest: an uncompressed tar, in a file or in memory.
        held: How the engine keeps the others, where it has to be told.
    """
    manifest = _manifest(document, layers, contents, held)
    members = _members(document, layers, contents, manifest)
    return DockerArchive(_length(members), lambda: _written(members), lambda: manifest)


def archive_with_new(
    layer: Layer,
    describe: Callable[[str, str], bytes],
    below: Sequence[str],
    contents: Mapping[str, LayerContent],
    held: Descriptors,
) -> DockerArchive:
    """Describe the archive of an image whose last layer is read while it is sent.

    Args:
        layer: The layer.
        describe: Writes the document for a layer of such a digest and such a digest of its content. It is as long for
            any other; so it is asked once before the layer is read.
        below: Digests of the layers that it lies on.
        contents: Those of them that the engine may lack.
        held: How it keeps the others, where it has to be told.
    """

    def parts(digest: str, content: str) -> tuple[bytes, tuple[str, ...], dict[str, LayerContent]]:
        return describe(digest, content), (*below, digest), {**contents, digest: _Sent(layer.size)}

    def manifest(digest: str, content: str) -> bytes:
        return _manifest(*parts(digest, content), held)

    def members(digest: str, content: str) -> list[_Member]:
        return _members(*parts(digest, content), manifest(digest, content))

    def pieces() -> Iterator[Piece]:
        yield _header(_NEW, layer.size)
        yield from ahead(layer.pieces())
        yield bytes(-layer.size % tarfile.BLOCKSIZE)
        yield from _written(members(layer.digest, layer.content))

    length = _stored(layer.size) + _length(members(_ANY, _ANY))
    return DockerArchive(length, pieces, lambda: manifest(layer.digest, layer.content))


def digest_file(path: Path) -> str:
    """SHA-256 digest of a file, as images write it."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(document: bytes, layers: Sequence[str], contents: Mapping[str, LayerContent], held: Descriptors) -> bytes:
    def described(layer: str) -> Mapping[str, Any]:
        if layer in held and layer not in contents:
            return held[layer]
        return _descriptor(_LAYER, layer, _size(contents.get(layer, b"")))

    return _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, _digest(document), len(document)),
            "layers": [described(layer) for layer in layers],
        }
    )


def _members(
    document: bytes, layers: Sequence[str], contents: Mapping[str, LayerContent], manifest: bytes
) -> list[_Member]:
    index = {"schemaVersion": 2, "manifests": [_descriptor(_MANIFEST, _digest(manifest), len(manifest))]}
    listed = {"Config": _blob(_digest(document)), "RepoTags": None, "Layers": [_blob(layer) for layer in layers]}
    return [
        ("manifest.json", _json([listed])),
        ("oci-layout", _json({"imageLayoutVersion": "1.0.0"})),
        ("index.json", _json(index)),
        (_blob(_digest(manifest)), manifest),
        (_blob(_digest(document)), document),
        *((_blob(digest), content) for digest, content in contents.items()),
    ]


def _written(members: Sequence[_Member]) -> Iterator[bytes]:
    for name, content in members:
        yield from _member(name, content)
    yield bytes(_END)


def _length(members: Sequence[_Member]) -> int:
    return sum(_stored(0 if isinstance(content, _Sent) else _size(content)) for _name, content in members) + _END


def _stored(size: int) -> int:
    """Bytes that a member of ``size`` takes in an archive."""
    return tarfile.BLOCKSIZE + size + -size % tarfile.BLOCKSIZE


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _blob(digest: str) -> str:
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def _size(content: LayerContent) -> int:
    match content:
        case bytes():
            return len(content)
        case Path():
            return content.stat().st_size
        case _Sent(size):
            return size


def _member(name: str, content: LayerContent) -> Iterator[bytes]:
    if isinstance(content, _Sent):
        yield _header(name, 0, link=_NEW)
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
