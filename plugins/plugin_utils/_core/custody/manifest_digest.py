# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The digest of the manifest with which an image is published, before it is published.

This manifest names the uncompressed layers with their sizes. They are remembered when an image is made. For layers of
others, the engine exports the image once.
"""

from __future__ import annotations

import hashlib

from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import EngineError
from ..image.manifest import published_manifest
from ..layer.blob_sizes import recall_manifest, recall_sizes, remember_sizes
from ..sealing.loading import measure_blobs


def manifest_digest(engine: Engine, image: Image) -> str:
    """Return the digest of the manifest that publishing an image writes, ``sha256:…``.

    For an image of another team, it is the digest of the manifest that this team published.

    Args:
        engine: The engine that has the image.
        image: The image.

    Raises:
        EngineError: The engine rejected a request, or its export lacks a layer.
    """
    if (known := known_manifest(image)) is not None:
        return known
    blobs = (*image.layers, image.id)
    sizes = recall_sizes(blobs)
    if missing := set(blobs) - sizes.keys():
        measured = measure_blobs(engine.images.save(image.id), missing)
        remember_sizes(measured)
        sizes |= measured
    if lacking := set(blobs) - sizes.keys():
        raise EngineError(
            f"image {image.id} should have {', '.join(sorted(lacking))}, but they are not in the archive that the "
            "engine saved of it"
        )
    return _digest(image, sizes)


def known_manifest(image: Image) -> str | None:
    """Return the same digest if it is known without the engine; ``None`` if it is not."""
    if (manifest := recall_manifest(image.id)) is not None:
        return manifest
    sizes = recall_sizes((*image.layers, image.id))
    return _digest(image, sizes) if {*image.layers, image.id} == sizes.keys() else None


def _digest(image: Image, sizes: dict[str, int]) -> str:
    return "sha256:" + hashlib.sha256(published_manifest(image.id, image.layers, sizes)).hexdigest()
