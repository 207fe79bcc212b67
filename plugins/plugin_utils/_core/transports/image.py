# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An image with its layers: owners, times, indexes.

When images and layers were built.

The time in an image of a tier is that of its sources. When it was built is remembered by the machine that did it; else
the first release that it was part of tells. What others made says when it was built.

Parts that several answers have in common; each answer is plain data that JSON can hold.

An image with the indexes of its layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..chain import tags
from ..errors import DamagedError
from ..layer import build_memory
from ..layer_index.entries import Index
from ..layer_index.index import Store
from ..layer_index.merged_files import FileSystem, LayerChange
from .image_document import Document, Step, timestamp
from .transport import Place, open_place, split


def of_image(document: Document) -> str | None:
    """RFC 3339 time at which an image was built; ``None`` where nobody knows."""
    last = document.steps[-1] if document.steps else None
    if last is None or last.tier is None:
        return timestamp(document.created)
    return build_memory.built(document.id) or _first_release(document.names)


def of_layer(digest: str, step: Step | None) -> str | None:
    """RFC 3339 time at which a layer was built; ``None`` where nobody knows."""
    if step is None or step.tier is None:
        return timestamp(step.created) if step else None
    return build_memory.built(digest)


def _first_release(names: tuple[str, ...]) -> str | None:
    found = [tag for name in names if tags.is_release(tag := name.rpartition(":")[2])]
    moments = sorted(moment for tag in found if (moment := tags.moment(tag)))
    return moments[0].strftime("%Y-%m-%dT%H:%M:%SZ") if moments else None


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """A layer and who made it. What is not known is ``null``."""

    #: 1 for the lowest.
    number: int
    #: ``sha256:…`` of the uncompressed layer.
    digest: str
    #: Tier, team, role, and the last commit that touched the role, as the layer's history entry names them.
    tier: str | None
    team: str | None
    role: str | None
    revision: str | None
    #: RFC 3339 time that the history says; of a tier's layer, that of its sources.
    created: str | None
    #: What made it, as the builder wrote it.
    created_by: str | None
    #: RFC 3339 time at which it was built; ``null`` where that is not known.
    built: str | None = None

    @property
    def called(self) -> str:
        """What people call it: its tier, else what made it."""
        return self.tier or f"layer {self.number}" + (f": {self.created_by}" if self.created_by else "")

    @property
    def made_by(self) -> str | None:
        """What made it: a role with its commit, else what the builder wrote; ``None`` where that is not known."""
        if self.role is None:
            return self.created_by
        return f"role {self.role}" + (f" at {self.revision}" if self.revision else "")


def layers(document: Document) -> list[LayerInfo]:
    """All layers of an image, the lowest first."""
    return [
        LayerInfo(
            number=number,
            digest=digest,
            tier=step.tier if step else None,
            team=step.team if step else None,
            role=step.role if step else None,
            revision=step.revision if step else None,
            created=timestamp(step.created) if step else None,
            created_by=(step.created_by or None) if step else None,
            built=of_layer(digest, step),
        )
        for number, (digest, step) in enumerate(zip(document.layers, document.makers, strict=True), 1)
    ]


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package that came, went, or has another version."""

    name: str
    architecture: str
    #: Version before; ``null`` for a package that came.
    before: str | None
    #: Version after; ``null`` for a package that went.
    after: str | None


def package_changes(before: dict[str, str], after: dict[str, str]) -> list[PackageChange]:
    """Compare two sets of packages, by name."""
    return [
        PackageChange(*_split(key), before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _split(key: str) -> tuple[str, str]:
    name, _, architecture = key.rpartition(":")
    return name, architecture


@dataclass(frozen=True, slots=True)
class Stack:
    """An image, opened."""

    document: Document
    layers: tuple[LayerInfo, ...]
    indexes: tuple[Index, ...]

    def laid(self) -> Iterator[tuple[LayerInfo, Index, list[LayerChange], FileSystem]]:
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
    """Open the image that a user names (:mod:`.transport`).

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
