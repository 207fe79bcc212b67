# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds wasted space in images: files that upper layers hide, and content that is stored more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from ..layer_index.entries import FILE, HARDLINK, Index
from ..layer_index.merged_files import ChangeKind, LayerChange, OwnedEntry
from ..transports.image import LayerInfo, Stack


class Hidden(msgspec.Struct, frozen=True):
    """A file in a lower layer that an upper layer changes or removes."""

    path: str
    size: int
    #: ``changed``, ``repeated`` or ``removed``.
    how: str
    #: The layer that contains the file.
    layer: LayerInfo
    #: The layer that hides it.
    by: LayerInfo


class Copy(msgspec.Struct, frozen=True):
    """One of several files with the same content."""

    path: str
    layer: LayerInfo


class Duplicate(msgspec.Struct, frozen=True):
    """Content that is stored more than once."""

    digest: str
    #: Bytes of one copy.
    size: int
    #: Bytes of all copies except one.
    wasted: int
    copies: list[Copy]


class HidingLayer(msgspec.Struct, frozen=True):
    """A layer that hides files of lower layers."""

    layer: LayerInfo
    #: Bytes that it hides.
    hides: int


class Waste(msgspec.Struct, frozen=True):
    """The answer to ``tierwright waste``."""

    #: IDs of the images.
    images: list[str]
    #: Bytes of all files of all layers. Layers that several images share count once.
    size: int
    #: Bytes of hidden files.
    hidden_size: int
    #: Bytes of all copies of duplicates, except one each.
    duplicate_size: int
    #: Layers that hide files; the one that hides the most bytes comes first.
    causes: list[HidingLayer]
    #: The largest first.
    hidden: list[Hidden]
    #: Those that waste most first.
    duplicates: list[Duplicate]


def find_waste(stacks: list[Stack]) -> Waste:
    """Find the wasted space in one image, or in several images together."""
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
    yielded: set[tuple[str, str]] = set()  # a layer that several images share counts once
    for stack in stacks:
        links = [_links(index) for index in stack.indexes]
        for layer, index, changes, so_far in stack.merge_layers():
            for path, kind, before in _hidden_files(changes):
                names = links[before.layer].get(path, ())
                is_visible = any(owned.layer == before.layer for name in names if (owned := so_far.find(name)))
                if not is_visible and (index.digest, path) not in yielded:
                    yielded.add((index.digest, path))
                    yield Hidden(path, before.entry.size, kind.value, stack.layers[before.layer], layer)


def _hidden_files(changes: list[LayerChange]) -> Iterator[tuple[str, ChangeKind, OwnedEntry]]:
    for change in changes:
        before = change.before
        if change.kind != ChangeKind.ADDED and before and before.entry.kind == FILE and before.entry.size:
            yield change.path, change.kind, before


def _links(index: Index) -> dict[str, list[str]]:
    """Return the hard links in a layer, by target. A file is hidden only if all its links are hidden too."""
    links: dict[str, list[str]] = defaultdict(list)
    for entry in index.entries:
        if entry.kind == HARDLINK:
            links[entry.target].append(entry.path)
    return links


def _duplicates(stacks: list[Stack]) -> list[Duplicate]:
    copies_by_content: dict[tuple[str, int], dict[tuple[str, str], Copy]] = defaultdict(dict)
    for stack in stacks:
        for owned in stack.file_system().files():
            entry, layer = owned.entry, stack.layers[owned.layer]
            if entry.kind == FILE and entry.size:
                copies_by_content[entry.digest, entry.size][layer.digest, entry.path] = Copy(entry.path, layer)
    duplicates = (
        Duplicate(digest, size, size * (len(copies) - 1), list(copies.values()))
        for (digest, size), copies in copies_by_content.items()
        if len(copies) > 1
    )
    return sorted(duplicates, key=lambda each: (-each.wasted, each.digest))
