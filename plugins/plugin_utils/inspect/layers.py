# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each layer of an image does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..image.left_out import recall
from .answer import Layer, PackageChange, package_changes
from .entry import DIRECTORY, Index
from .overlay import Change, Kind
from .stack import Stack


@dataclass(frozen=True, slots=True)
class Files:
    """How many files a layer touches; folders do not count."""

    added: int
    changed: int
    removed: int
    #: Written again as they were.
    repeated: int


@dataclass(frozen=True, slots=True)
class LayerContent:
    """A layer, and what it does to what is below it."""

    layer: Layer
    #: Bytes of its files.
    size: int
    files: Files
    packages: list[PackageChange]
    #: Number of packages that are installed from here on.
    installed: int
    #: Package databases that could not be read, each a sentence.
    unread: list[str]
    #: What was left out of it, as the machine that built it remembers, each a line.
    left_out: list[str]


@dataclass(frozen=True, slots=True)
class Layers:
    """The answer to ``tierwright layers``."""

    #: ID of the image.
    image: str
    names: list[str]
    #: The lowest first.
    layers: list[LayerContent]


def look(stack: Stack) -> Layers:
    """Lay an image's layers on each other and say what each does."""
    told = []
    before: dict[str, str] = {}
    for layer, index, changes, so_far in stack.laid():
        now = so_far.packages
        told.append(content(layer, index, changes, before, now))
        before = now
    return Layers(stack.document.id, list(stack.document.names), told)


def content(
    layer: Layer, index: Index, changes: list[Change], before: dict[str, str], now: dict[str, str]
) -> LayerContent:
    """Say what one layer does, with the packages before and after it."""
    packages = package_changes(before, now)
    return LayerContent(
        layer, index.size, _files(changes), packages, len(now), list(index.unread), recall(layer.digest)
    )


def _files(changes: list[Change]) -> Files:
    count = Counter(change.kind for change in changes if _is_file(change))
    return Files(count[Kind.ADDED], count[Kind.CHANGED], count[Kind.REMOVED], count[Kind.REPEATED])


def _is_file(change: Change) -> bool:
    entry = change.after or (change.before.entry if change.before else None)
    return entry is not None and entry.kind != DIRECTORY
