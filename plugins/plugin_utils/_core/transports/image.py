# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An image with its layers: owners, build times, indexes.

The ``created`` time of a tier's image is its source date, not its build time. The machine that built the image
remembers the build time. Other machines use the time of the image's first release. For other images, the ``created``
time is the build time.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..chain import tags
from ..errors import DamagedError
from ..layer import build_memory
from ..layer_index.entries import Index
from ..layer_index.index import Store
from ..layer_index.merged_files import FileSystem, LayerChange
from .image_document import Document, Step, timestamp
from .transport import Place, open_place, split


def image_build_time(document: Document) -> str | None:
    """Return the RFC 3339 time at which an image was built; ``None`` if it is not known."""
    last = document.steps[-1] if document.steps else None
    if last is None or last.tier is None:
        return timestamp(document.created)
    return build_memory.built(document.id) or _first_release(document.names)


def layer_build_time(digest: str, step: Step | None) -> str | None:
    """Return the RFC 3339 time at which a layer was built; ``None`` if it is not known."""
    if step is None or step.tier is None:
        return timestamp(step.created) if step else None
    return build_memory.built(digest)


def _first_release(names: tuple[str, ...]) -> str | None:
    release_tags = [tag for name in names if tags.is_release(tag := name.rpartition(":")[2])]
    moments = sorted(moment for tag in release_tags if (moment := tags.moment(tag)))
    return moments[0].strftime("%Y-%m-%dT%H:%M:%SZ") if moments else None


class LayerInfo(msgspec.Struct, frozen=True):
    """A layer and its owner. Unknown values are ``null``."""

    #: 1 for the lowest layer.
    number: int
    #: ``sha256:…`` of the uncompressed layer.
    digest: str
    #: Tier, team, role, and the last commit that changed the role, from the layer's history entry.
    tier: str | None
    team: str | None
    role: str | None
    revision: str | None
    #: RFC 3339 time from the history; for a tier's layer, the source date.
    created: str | None
    #: The command that made it, as the builder wrote it.
    created_by: str | None
    #: RFC 3339 time at which it was built; ``null`` if it is not known.
    built: str | None = None

    @property
    def called(self) -> str:
        """Name for output: the tier, otherwise the number with the command that made it."""
        return self.tier or f"layer {self.number}" + (f": {self.created_by}" if self.created_by else "")

    @property
    def made_by(self) -> str | None:
        """The role with its commit, otherwise the command that made it; ``None`` if neither is known."""
        if self.role is None:
            return self.created_by
        return f"role {self.role}" + (f" at {self.revision}" if self.revision else "")


def layers(document: Document) -> list[LayerInfo]:
    """Return all layers of an image, the lowest first."""
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
            built=layer_build_time(digest, step),
        )
        for number, (digest, step) in enumerate(zip(document.layers, document.layer_steps, strict=True), 1)
    ]


class PackageChange(msgspec.Struct, frozen=True):
    """A package that was added, removed, or changed its version."""

    name: str
    architecture: str
    #: Version before; ``null`` for an added package.
    before: str | None
    #: Version after; ``null`` for a removed package.
    after: str | None


def package_changes(before: dict[str, str], after: dict[str, str]) -> list[PackageChange]:
    """Compare two sets of packages, ``name:architecture`` to version; return the differences by name."""
    return [
        PackageChange(*_split_package(key), before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _split_package(key: str) -> tuple[str, str]:
    name, _, architecture = key.rpartition(":")
    return name, architecture


class Stack(msgspec.Struct, frozen=True):
    """An image with the indexes of its layers."""

    document: Document
    #: The lowest first.
    layers: tuple[LayerInfo, ...]
    #: One for each of ``layers``.
    indexes: tuple[Index, ...]

    def merge_layers(self) -> Iterator[tuple[LayerInfo, Index, list[LayerChange], FileSystem]]:
        """Merge the layers into a file system, the lowest first.

        Yields:
            For each layer: the layer, its index, its changes, and the file system up to and including this layer.
        """
        merged = FileSystem()
        for layer, index in zip(self.layers, self.indexes, strict=True):
            yield layer, index, merged.add(index), merged

    def file_system(self) -> FileSystem:
        """Return the file system of the image."""
        merged = FileSystem()
        for index in self.indexes:
            merged.add(index)
        return merged


def open_stack(name: str, store: Store) -> Stack:
    """Open the image that a user names (:mod:`.transport`).

    Raises:
        UsageError: The name has a wrong form.
        NotFoundError: There is no such image.
        DamagedError: The image is damaged, or a layer is missing.
        EngineUnavailableError: The engine or registry does not answer.
        UnsupportedError: The format of the image is not supported.
    """
    kind, location, reference = split(name)
    place = open_place(kind, location, store)
    return open_in(place, place.find(reference), store, reference)


def open_in(place: Place, document: Document, store: Store, name: str = "") -> Stack:
    """Open an image of a place.

    Args:
        place: Where the image is.
        document: The image.
        store: Cache of layer indexes; missing ones are added to it.
        name: The image's name in messages; empty for its ID.

    Raises:
        TierwrightError: As :func:`open_stack` raises it.
    """
    place.fill(document, store)
    return indexed_stack(document, store, place.title, name)


def indexed_stack(document: Document, store: Store, title: str, name: str = "") -> Stack:
    """Return an image whose layers are in the store.

    Args:
        document: The image.
        store: Cache of layer indexes.
        title: The place's name in messages.
        name: The image's name in messages; empty for its ID.

    Raises:
        DamagedError: A layer is not in the store, because the place does not have it.
    """
    indexes = []
    for layer in document.layers:
        index = store.index(layer)
        if index is None:
            raise DamagedError(f"{title} has image {name or document.id}, but not its layer {layer}")
        indexes.append(index)
    return Stack(document, tuple(layers(document)), tuple(indexes))
