# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists what each layer of an image changes."""

from __future__ import annotations

from collections import Counter

import msgspec

from ..layer.build_memory import recall_left_out
from ..layer_index.entries import DIRECTORY, Index
from ..layer_index.merged_files import ChangeKind, LayerChange
from ..transports.image import LayerInfo, PackageChange, Stack, package_changes


class FileCounts(msgspec.Struct, frozen=True):
    """Numbers of files that a layer adds, changes or removes. Folders do not count."""

    added: int
    changed: int
    removed: int
    #: Files that were written again without a change.
    repeated: int


class LayerContent(msgspec.Struct, frozen=True):
    """A layer, and what it changes in the layers below it."""

    layer: LayerInfo
    #: Bytes of its files.
    size: int
    files: FileCounts
    packages: list[PackageChange]
    #: Number of packages that are installed in this layer and those below it.
    installed: int
    #: One sentence for each package database that could not be read.
    unread: list[str]
    #: One line for each item that was left out; empty if another machine built the layer.
    left_out: list[str]


class LayerListing(msgspec.Struct, frozen=True):
    """The answer to ``tierwright layers``."""

    #: ID of the image.
    image: str
    names: list[str]
    #: The lowest first.
    layers: list[LayerContent]


def list_layers(stack: Stack) -> LayerListing:
    """List the layers of an image with their changes."""
    layers = []
    before: dict[str, str] = {}
    for layer, index, changes, so_far in stack.merge_layers():
        after = so_far.packages
        layers.append(content(layer, index, changes, before, after))
        before = after
    return LayerListing(stack.document.id, list(stack.document.names), layers)


def content(
    layer: LayerInfo, index: Index, changes: list[LayerChange], before: dict[str, str], after: dict[str, str]
) -> LayerContent:
    """Describe one layer. ``before`` and ``after`` are the installed packages without and with it."""
    packages = package_changes(before, after)
    return LayerContent(
        layer=layer,
        size=index.size,
        files=_count_files(changes),
        packages=packages,
        installed=len(after),
        unread=list(index.unread),
        left_out=recall_left_out(layer.digest),
    )


def _count_files(changes: list[LayerChange]) -> FileCounts:
    count = Counter(change.kind for change in changes if _is_file(change))
    return FileCounts(
        count[ChangeKind.ADDED], count[ChangeKind.CHANGED], count[ChangeKind.REMOVED], count[ChangeKind.REPEATED]
    )


def _is_file(change: LayerChange) -> bool:
    entry = change.after or (change.before.entry if change.before else None)
    return entry is not None and entry.kind != DIRECTORY
