# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bytes that an image carries for nothing: what upper layers hide, and what is there more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from ..layer_index.entries import FILE, HARDLINK, Index
from ..layer_index.merged_files import ChangeKind, LayerChange, Owned
from ..transports.image import LayerInfo, Stack


@dataclass(frozen=True, slots=True)
class Hidden:
    """A file whose bytes nobody can see any more."""

    path: str
    size: int
    #: ``changed``, ``repeated`` or ``removed``.
    how: str
    #: The layer that holds the bytes, and the one that hides them.
    layer: LayerInfo
    by: LayerInfo


@dataclass(frozen=True, slots=True)
class Copy:
    """One of several files with the same content."""

    path: str
    layer: LayerInfo


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Content that is stored more than once."""

    digest: str
    #: Bytes of one copy.
    size: int
    #: Bytes of all copies but one.
    wasted: int
    copies: list[Copy]


@dataclass(frozen=True, slots=True)
class HidingLayer:
    """What one layer hides."""

    layer: LayerInfo
    #: Bytes in lower layers.
    hides: int


@dataclass(frozen=True, slots=True)
class Waste:
    """The answer to ``tierwright waste``."""

    #: IDs of the images.
    images: list[str]
    #: Bytes of all files of all layers; layers that several images share count once.
    size: int
    hidden_size: int
    duplicate_size: int
    #: Layers that hide something, the worst first.
    causes: list[HidingLayer]
    #: The largest first.
    hidden: list[Hidden]
    #: Those that waste most first.
    duplicates: list[Duplicate]


def find(stacks: list[Stack]) -> Waste:
    """Look for waste in one image, or in several together."""
    hidden = list(_hidden(stacks))
    duplicates = _duplicates(stacks)
    causes: dict[LayerInfo, int] = defaultdict(int)
    for each in hidden:
        causes[each.by] += each.size
    sizes = {index.digest: index.size for stack in stacks for index in stack.indexes}
    return Waste(
        images=[stack.document.id for stack in stacks],
        size=sum(sizes.values()),
        hidden_size=sum(each.size for each in hidden),
        duplicate_size=sum(each.wasted for each in duplicates),
        causes=sorted((HidingLayer(*each) for each in causes.items()), key=lambda cause: -cause.hides),
        hidden=sorted(hidden, key=lambda each: (-each.size, each.path)),
        duplicates=duplicates,
    )


def _hidden(stacks: list[Stack]) -> Iterator[Hidden]:
    told: set[tuple[str, str]] = set()  # layers with the same below them hide the same in each image
    for stack in stacks:
        links = [_links(index) for index in stack.indexes]
        for layer, index, changes, so_far in stack.laid():
            for path, kind, before in _covered(changes):
                names = links[before.layer].get(path, ())
                seen = any(there.layer == before.layer for name in names if (there := so_far.find(name)))
                if not seen and (index.digest, path) not in told:
                    told.add((index.digest, path))
                    yield Hidden(path, before.entry.size, kind.value, stack.layers[before.layer], layer)


def _covered(changes: list[LayerChange]) -> Iterator[tuple[str, ChangeKind, Owned]]:
    for change in changes:
        before = change.before
        if change.kind != ChangeKind.ADDED and before and before.entry.kind == FILE and before.entry.size:
            yield change.path, change.kind, before


def _links(index: Index) -> dict[str, list[str]]:
    """Other names of a layer's files: as long as one is seen, the bytes are."""
    found: dict[str, list[str]] = defaultdict(list)
    for entry in index.entries:
        if entry.kind == HARDLINK:
            found[entry.target].append(entry.path)
    return found


def _duplicates(stacks: list[Stack]) -> list[Duplicate]:
    copies: dict[tuple[str, int], dict[tuple[str, str], Copy]] = defaultdict(dict)
    for stack in stacks:
        for owned in stack.whole().files():
            entry, layer = owned.entry, stack.layers[owned.layer]
            if entry.kind == FILE and entry.size:
                copies[entry.digest, entry.size][layer.digest, entry.path] = Copy(entry.path, layer)
    several = (
        Duplicate(digest, size, size * (len(found) - 1), list(found.values()))
        for (digest, size), found in copies.items()
        if len(found) > 1
    )
    return sorted(several, key=lambda each: (-each.wasted, each.digest))
