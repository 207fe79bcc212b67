# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the statements about the packages of a tier: its bill of materials in CycloneDX and in SPDX.

Each lists what the tier's own layer added, changed or removed. What a machine has sealed itself, it remembers; other
layers are read from the engine, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..engine.inspection import Image
from ..errors import NotFoundError
from ..layer_index.index import Store
from ..policy.evidence import CYCLONEDX, SPDX
from ..sbom import cyclonedx, spdx
from ..sbom.component_reader import read_components
from ..sbom.components import ImageComponents, Part
from ..signing.statement import Statement
from ..transports.image import Stack, layers, open_in
from ..transports.image_document import Document
from ..transports.transport import Place
from .predicates import TierImage
from .sign_records import MakeStatement

_WRITERS: Mapping[str, Callable[[ImageComponents, Part], dict[str, Any]]] = {
    CYCLONEDX: cyclonedx.write_part,
    SPDX: spdx.write_part,
}


class BillWriter:
    """Writes bills of materials of images in one place."""

    def __init__(self, place: Place, store: Store) -> None:
        """Take where the images are, and the cache of layer indexes."""
        self._place, self._store = place, store
        self._read: dict[str, ImageComponents] = {}

    def makers(self) -> Mapping[str, MakeStatement]:
        """Return the functions that make the statements, by their predicate type."""
        return {kind: partial(self._make, kind) for kind in _WRITERS}

    def _make(self, kind: str, subject: TierImage, image: Image) -> Statement | None:
        if image.id not in self._read:
            self._read[image.id] = read_components(self._open(self._place.find(image.id)))
        components = self._read[image.id]
        try:
            part = components.part_of(subject.tier)
        except NotFoundError:  # its layer is the same as before, and belongs to no tier of its own
            return None
        return Statement(subject.subjects(), kind, _WRITERS[kind](components, part))

    def _open(self, document: Document) -> Stack:
        """Open an image with what is remembered about the packages of its layers, or read the image."""
        remembered = [self._store.packages(layer) for layer in document.layers]
        indexes = tuple(index for index in remembered if index is not None)
        if len(indexes) == len(document.layers):
            return Stack(document, tuple(layers(document)), indexes)
        return open_in(self._place, document, self._store)
