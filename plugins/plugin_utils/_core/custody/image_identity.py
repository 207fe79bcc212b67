# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What identifies an image, wherever it was found: on an engine, in a registry, or in a file."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..engine.inspection import Image
from ..image import labels


class ImageIdentity(msgspec.Struct, frozen=True):
    """An image by its digests."""

    #: ``sha256:…`` of its configuration.
    config: str
    #: ``sha256:…`` of its manifest; ``None`` if it is not known.
    manifest: str | None
    #: Digests of its uncompressed layers, the base's first.
    layers: tuple[str, ...]
    #: Labels of its configuration. Anybody can write them, so they prove nothing.
    labels: Mapping[str, str]
    #: How the user named it, for messages.
    reference: str

    @property
    def parent(self) -> str | None:
        """``sha256:…`` of the parent's configuration, as the label says; ``None`` for a base."""
        return self.labels.get(labels.PARENT)


def identify(image: Image, reference: str, manifest: str | None = None) -> ImageIdentity:
    """Return the identity of an image on an engine.

    Args:
        image: The image.
        reference: How the user named it, for messages.
        manifest: The digest of its manifest, if it is known.
    """
    return ImageIdentity(image.id, manifest, image.layers, image.labels, reference)
