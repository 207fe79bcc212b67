# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An image with the indexes of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import DamagedError
from .answer import Layer, layers
from .document import Document
from .entry import Index
from .overlay import Change, FileSystem
from .place import Place, open_place, split
from .store import Store


@dataclass(frozen=True, slots=True)
class Stack:
    """An image, opened."""

    document: Document
    layers: tuple[Layer, ...]
    indexes: tuple[Index, ...]

    def laid(self) -> Iterator[tuple[Layer, Index, list[Change], FileSystem]]:
        """Lay the layers on each other, the lowest first.

        Yields:
            The layer, its index, what it does, and everything up to it.
        """
        so_far = FileSystem()
        for layer, index in zip(self.layers, self.indexes, strict=True):
            yield layer, index, so_far.add(index), so_far

    def whole(self) -> FileSystem:
        """The image's file system."""
        so_far = FileSystem()
        for index in self.indexes:
            so_far.add(index)
        return so_far


def open_stack(name: str, store: Store) -> Stack:
    """Open the image that a user names (:mod:`.place`).

    Raises:
        UsageError: It is no name of an image.
        NotFoundError: There is no such image.
        DamagedError: The image is damaged, or a layer is missing.
        EngineUnavailableError: Nobody answers.
        UnsupportedError: The image is of a kind that is not read.
    """
    kind, location, reference = split(name)
    place = open_place(kind, location, store)
    return open_in(place, place.find(reference), store, reference)


def open_in(place: Place, document: Document, store: Store, called: str = "") -> Stack:
    """Open an image that a place holds.

    Args:
        place: The place.
        document: The image.
        store: For what is read.
        called: What the user calls it; empty for its ID.

    Raises:
        TierwrightError: As :func:`open_stack` does.
    """
    place.fill(document, store)
    indexes = []
    for layer in document.layers:
        found = store.index(layer)
        if found is None:
            raise DamagedError(f"{place.title} holds {called or document.id}, but not its layer {layer}")
        indexes.append(found)
    return Stack(document, tuple(layers(document)), tuple(indexes))
