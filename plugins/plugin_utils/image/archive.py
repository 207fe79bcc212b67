# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The archive that an engine loads images from.

The format is Docker's image specification v1.2: ``manifest.json``, the image's document, and its layers. An engine
opens only the layers that it lacks (``tarexport/load.go`` looks for the chain ID first), so the others need only
be named.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 20

#: The layer of a tier that changed nothing: a tar archive without entries.
EMPTY_LAYER = bytes(1024)
EMPTY_LAYER_DIGEST = "sha256:" + hashlib.sha256(EMPTY_LAYER).hexdigest()

LayerContent = Path | bytes


def docker_archive(document: bytes, contents: Mapping[str, LayerContent]) -> Iterator[bytes]:
    """Yield a docker-archive with one image and no name for it.

    Args:
        document: What :func:`.config.document` wrote.
        contents: Layers that the engine may lack, by digest: an uncompressed tar, in a file or in memory.
    """
    layers = json.loads(document)["rootfs"]["diff_ids"]
    config_name = hashlib.sha256(document).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": None, "Layers": [_layer_name(layer) for layer in layers]}]
    yield from _member("manifest.json", json.dumps(manifest).encode())
    yield from _member(config_name, document)
    for digest, content in contents.items():
        yield from _member(_layer_name(digest), content)
    yield bytes(2 * tarfile.BLOCKSIZE)


def digest_file(path: Path) -> str:
    """SHA-256 digest of a file, as images write it."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _layer_name(digest: str) -> str:
    return digest.removeprefix("sha256:") + ".tar"


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
