# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each layer of an image does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..layer.build_memory import recall_left_out
from ..layer_index.entries import DIRECTORY, Index
from ..layer_index.merged_files import ChangeKind, LayerChange
from ..transports.image import LayerInfo, PackageChange, Stack, package_changes


@dataclass(frozen=True, slots=True)
class FileCounts:
    """How many files a layer touches; folders do not count."""

    added: int
    changed: int
    removed: int
    #: Written again as they were.
    repeated: int


@dataclass(frozen=True, slots=True)
class LayerContent:
    """A layer, and what it does to what is below it."""

    layer: LayerInfo
    #: Bytes of its files.
    size: int
    files: FileCounts
    packages: list[PackageChange]
    #: Number of packages that are installed from here on.
    installed: int
    #: Package databases that could not be read, each a sentence.
    unread: list[str]
    #: What was left out of it, as the machine that built it remembers, each a line.
    left_out: list[str]


@dataclass(frozen=True, slots=True)
class LayerListing:
    """The answer to ``tierwright layers``."""

    #: ID of the image.
    image: str
    names: list[str]
    #: The lowest first.
    layers: list[LayerContent]


def look(stack: Stack) -> LayerListing:
    """Lay an image's layers on each other and say what each does."""
    told = []
    before: dict[str, str] = {}
    for layer, index, changes, so_far in stack.laid():
        now = so_far.packages
        told.append(content(layer, index, changes, before, now))
        before = now
    return LayerListing(stack.document.id, list(stack.document.names), told)


def content(
    layer: LayerInfo, index: Index, changes: list[LayerChange], before: dict[str, str], now: dict[str, str]
) -> LayerContent:
    """Say what one layer does, with the packages before and after it."""
    packages = package_changes(before, now)
    return LayerContent(
        layer, index.size, _files(changes), packages, len(now), list(index.unread), recall_left_out(layer.digest)
    )


def _files(changes: list[LayerChange]) -> FileCounts:
    count = Counter(change.kind for change in changes if _is_file(change))
    return FileCounts(
        count[ChangeKind.ADDED], count[ChangeKind.CHANGED], count[ChangeKind.REMOVED], count[ChangeKind.REPEATED]
    )


def _is_file(change: LayerChange) -> bool:
    entry = change.after or (change.before.entry if change.before else None)
    return entry is not None and entry.kind != DIRECTORY
