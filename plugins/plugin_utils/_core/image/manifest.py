# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manifests of images that this project writes: for an engine's archive, and for a registry.

They have Docker's media types. With OCI's, Podman drops the health check, because OCI's configuration has none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
#: A layer that is not compressed: its digest is that of the layer itself.
LAYER = "application/vnd.docker.image.rootfs.diff.tar"


def descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    """Return the descriptor of a blob.

    Args:
        media_type: Its type.
        digest: Its digest, ``sha256:…``.
        size: Its size in bytes.
    """
    return {"mediaType": media_type, "digest": digest, "size": size}


def image_manifest(config: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the manifest of an image. Equal images have equal manifests, byte for byte.

    Args:
        config: The descriptor of its configuration.
        layers: The descriptors of its layers, the base's first.
    """
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": list(layers)}).encode()


def published_manifest(config: str, layers: Sequence[str], sizes: Mapping[str, int]) -> bytes:
    """Return the manifest with which an image is published. Its layers are not compressed.

    Args:
        config: The digest of its configuration.
        layers: The digests of its layers, the base's first.
        sizes: The size of each of them in bytes, by digest.
    """
    described = [descriptor(LAYER, layer, sizes[layer]) for layer in layers]
    return image_manifest(descriptor(CONFIG, config, sizes[config]), described)
