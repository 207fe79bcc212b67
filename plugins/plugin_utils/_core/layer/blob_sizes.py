# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Remembers what a manifest contains: the sizes of configurations and uncompressed layers.

An engine with Docker's own store does not tell these sizes. Whoever makes or exports an image knows them. The manifest
of an image that another team published cannot be computed, because its layers may be compressed. It is remembered too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..chain.names import is_digest
from .build_memory import recall, remember

_SIZE, _MANIFEST = "size", "manifest"


def remember_sizes(sizes: Mapping[str, int]) -> None:
    """Store sizes in bytes, by the digest of the uncompressed blob. An error while writing is ignored."""
    for digest, size in sizes.items():
        if recall(digest, _SIZE) != size:
            remember(digest, _SIZE, size)


def recall_sizes(digests: Iterable[str]) -> dict[str, int]:
    """Return the sizes that are known, in bytes, by digest."""
    sizes = ((digest, recall(digest, _SIZE)) for digest in dict.fromkeys(digests))
    return {digest: size for digest, size in sizes if isinstance(size, int) and size > 0}


def remember_manifest(config: str, manifest: str) -> None:
    """Store the digest of the manifest with which another team published an image, by that of its configuration."""
    if recall(config, _MANIFEST) != manifest:
        remember(config, _MANIFEST, manifest)


def recall_manifest(config: str) -> str | None:
    """Return the digest of the manifest with which another team published an image; ``None`` if it is not known."""
    manifest = recall(config, _MANIFEST)
    return manifest if isinstance(manifest, str) and is_digest(manifest) else None
