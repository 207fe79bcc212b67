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

An engine that wants all layers all the same gets them all: see :mod:`.load`.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

_CHUNK = 1 << 20

#: The layer of a tier that changed nothing: a tar archive without entries.
EMPTY_LAYER = bytes(1024)
EMPTY_LAYER_DIGEST = "sha256:" + hashlib.sha256(EMPTY_LAYER).hexdigest()

LayerContent = Path | bytes

# Docker's types and not OCI's: with those, Podman forgets the health check, which OCI's configuration has not.
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


def docker_archive(document: bytes, layers: Sequence[str], contents: Mapping[str, LayerContent]) -> Iterator[bytes]:
    """Yield an archive with one image and no name for it.

    Args:
        document: What :func:`.config.document` wrote.
        layers: Digests of all layers, as the document names them.
        contents: Layers that the engine may lack, by digest: an uncompressed tar, in a file or in memory.
    """
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, _digest(document), len(document)),
            "layers": [_descriptor(_LAYER, layer, _size(contents.get(layer, b""))) for layer in layers],
        }
    )
    index = {"schemaVersion": 2, "manifests": [_descriptor(_MANIFEST, _digest(manifest), len(manifest))]}
    listed = {"Config": _blob(_digest(document)), "RepoTags": None, "Layers": [_blob(layer) for layer in layers]}
    yield from _member("manifest.json", _json([listed]))
    yield from _member("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    yield from _member("index.json", _json(index))
    yield from _member(_blob(_digest(manifest)), manifest)
    yield from _member(_blob(_digest(document)), document)
    for digest, content in contents.items():
        yield from _member(_blob(digest), content)
    yield bytes(2 * tarfile.BLOCKSIZE)


def digest_file(path: Path) -> str:
    """SHA-256 digest of a file, as images write it."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _blob(digest: str) -> str:
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def _size(content: LayerContent) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _member(name: str, content: LayerContent) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    header.mode = 0o644
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        header.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        yield header.tobuf(tarfile.GNU_FORMAT)
        yield from _pieces(file)
    yield bytes(-header.size % tarfile.BLOCKSIZE)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        yield piece
