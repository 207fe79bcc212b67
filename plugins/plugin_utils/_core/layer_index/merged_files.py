# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Layers merged to one file system, and apt's settings in it.

Layers laid upon each other: what each one adds, changes and removes, and whose everything is in the end.

The rules are those of the OCI image specification (``layer.md``): whiteouts take away what lower layers have, never
what their own layer brings; a folder upon a folder adds to it, anything else replaces what was there.

Small files whose content is remembered with a layer: what apt is set to, and the keys that it trusts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from .entries import DIRECTORY, SYMLINK, Index, IndexEntry, Packages
from .package_databases import is_database


class ChangeKind(StrEnum):
    """What a layer does with a path."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    #: Written again as it was: invisible, but its bytes are there twice.
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Owned:
    """An entry, and the layer that it comes from."""

    entry: IndexEntry
    #: Number of the layer; the lowest is 0.
    layer: int


@dataclass(frozen=True, slots=True)
class LayerChange:
    """What one layer does with one path."""

    kind: ChangeKind
    path: str
    #: What lower layers have there.
    before: Owned | None
    #: What the layer brings.
    after: IndexEntry | None


@dataclass(slots=True)
class _Node:
    #: ``None`` for a folder that no layer has an entry for.
    owned: Owned | None = None
    children: dict[str, _Node] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        return self.owned is None or self.owned.entry.kind == DIRECTORY


class FileSystem:
    """The layers so far."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._root = _Node()
        self._count = 0
        self._databases: dict[str, Packages] = {}

    def add(self, index: Index) -> list[LayerChange]:
        """Lay one more layer on top.

        Returns:
            What it does, sorted by path. Folders that stay as they are, and whiteouts of what is not there, do nothing.
        """
        gone: dict[str, Owned] = {}
        for folder in index.opaque:
            node = self._node(folder)
            for name in list(node.children) if node else ():
                self._remove(f"{folder}/{name}".lstrip("/"), gone)
        for path in index.whiteouts:
            self._remove(path, gone)
        brought: dict[str, IndexEntry] = {}
        for entry in index.entries:
            if self._place(entry, gone):
                brought[entry.path] = entry
            else:
                brought.pop(entry.path, None)
        changes = [*_brought(brought, gone), *_removed(gone, brought)]
        self._count += 1
        self._read_databases(index, changes)
        return sorted(changes, key=lambda change: change.path)

    def files(self) -> Iterator[Owned]:
        """Everything that is there, parents before what is in them."""
        yield from _below(self._root)

    def find(self, path: str) -> Owned | None:
        """What is at a path; ``None`` for nothing, and for folders that no layer has an entry for."""
        node = self._node(path)
        return node.owned if node else None

    def resolved(self, path: str) -> str:
        """Follow the symbolic links among a path's parents: ``bin/ls`` is ``usr/bin/ls`` where ``bin`` leads there.

        A path that leads nowhere, or round and round, is returned as far as it was followed.
        """
        done: list[str] = []
        todo = [part for part in reversed(path.split("/")) if part not in {"", "."}]
        followed = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = done[:-1]
                continue
            found = self.find("/".join([*done, part]))
            if todo and found and found.entry.kind == SYMLINK and followed < _MOST_LINKS:
                followed += 1
                target = found.entry.target
                done = [] if target.startswith("/") else done
                todo += [step for step in reversed(target.split("/")) if step not in {"", "."}]
            else:
                done.append(part)
        return "/".join(done)

    @property
    def packages(self) -> dict[str, str]:
        """Installed packages, ``name:architecture`` to version."""
        return {name: version for database in self._databases.values() for name, version in database.items()}

    @property
    def databases(self) -> dict[str, Packages]:
        """Package databases, by path."""
        return dict(self._databases)

    def _node(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for part in path.split("/") if path else ():
            node = node.children.get(part) if node else None
        return node

    def _remove(self, path: str, gone: dict[str, Owned]) -> None:
        folder, _, name = path.rpartition("/")
        node = self._node(folder)
        removed = node.children.pop(name, None) if node else None
        if removed is not None:
            self._note(removed, gone)

    def _note(self, node: _Node, gone: dict[str, Owned]) -> None:
        """Remember what was taken away, if lower layers had it."""
        for owned in _below(node):
            if owned.layer < self._count:
                gone.setdefault(owned.entry.path, owned)

    def _place(self, entry: IndexEntry, gone: dict[str, Owned]) -> bool:
        """Put an entry where it belongs, and say whether it is more than the folder that is there."""
        node = self._root
        for part in entry.path.split("/")[:-1]:
            node = node.children.setdefault(part, _Node())
            if not node.is_folder:
                self._note(node, gone)
                node.owned = None
        name = entry.path.rpartition("/")[2]
        there = node.children.get(name)
        if there is None:
            node.children[name] = _Node(Owned(entry, self._count))
            return True
        if entry.kind == DIRECTORY and there.is_folder:
            if there.owned is not None and there.owned.entry.same_as(entry):
                return there.owned.layer == self._count
            self._note(_Node(there.owned), gone)
        else:
            self._note(there, gone)
            there.children = {}
        there.owned = Owned(entry, self._count)
        return True

    def _read_databases(self, index: Index, changes: list[LayerChange]) -> None:
        for change in changes:
            if is_database(change.path):
                self._databases.pop(change.path, None)
                if change.path in index.databases and change.after is not None:
                    self._databases[change.path] = index.databases[change.path]


#: Symbolic links that are followed for one path, as the kernel does.
_MOST_LINKS = 40


def _brought(brought: dict[str, IndexEntry], gone: dict[str, Owned]) -> Iterator[LayerChange]:
    for path, entry in brought.items():
        before = gone.get(path)
        if before is None:
            yield LayerChange(ChangeKind.ADDED, path, None, entry)
        elif not before.entry.same_as(entry):
            yield LayerChange(ChangeKind.CHANGED, path, before, entry)
        elif entry.kind != DIRECTORY:
            yield LayerChange(ChangeKind.REPEATED, path, before, entry)


def _removed(gone: dict[str, Owned], brought: dict[str, IndexEntry]) -> Iterator[LayerChange]:
    for path, before in gone.items():
        if path not in brought:
            yield LayerChange(ChangeKind.REMOVED, path, before, None)


def _below(node: _Node) -> Iterator[Owned]:
    todo = [node]
    while todo:
        here = todo.pop()
        if here.owned is not None:
            yield here.owned
        todo += [here.children[name] for name in sorted(here.children, reverse=True)]


#: Most bytes of a file that is kept.
LARGEST = 1 << 20

#: Files that apt reads (``sources.list(5)``, ``apt_preferences(5)``, ``apt-key(8)``), and where keyrings lie.
_KEPT = re.compile(
    r"etc/apt/(sources\.list|sources\.list\.d/[\w.-]+\.(list|sources)"
    r"|preferences|preferences\.d/[\w-]+(\.pref)?"
    r"|trusted\.gpg|trusted\.gpg\.d/[\w.-]+\.(gpg|asc)|keyrings/[^/]+)"
    r"|usr/(share|local/share|lib/apt)/keyrings/[^/]+\.(gpg|asc|pgp)"
)
_MOST_LINKS_OF_SETTINGS = 8


def is_kept(path: str) -> bool:
    """Say whether a file's content is remembered."""
    return _KEPT.fullmatch(path) is not None


class Kept:
    """What is remembered of an image's files."""

    def __init__(self, indexes: tuple[Index, ...], files: FileSystem) -> None:
        """Take an image's layers, and its file system, which they make."""
        self._indexes, self._files = indexes, files
        self._paths = sorted(owned.entry.path for owned in files.files() if is_kept(owned.entry.path))

    def named(self, pattern: str) -> list[str]:
        """Paths of those that a regular expression matches, in the order in which apt reads them."""
        return [path for path in self._paths if re.fullmatch(pattern, path)]

    def read(self, path: str) -> bytes | None:
        """Read a file, also through symbolic links; ``None`` where there is none, or it is not kept."""
        path = path.lstrip("/")
        for _link in range(_MOST_LINKS_OF_SETTINGS):
            found = self._files.find(self._files.resolved(path))
            if found is None:
                return None
            entry = found.entry
            if entry.kind != SYMLINK:
                kept = self._indexes[found.layer].kept
                return kept.get(entry.path, kept.get(entry.target))
            path = entry.target.lstrip("/") if entry.target.startswith("/") else _beside(entry.path, entry.target)
        return None


def _beside(path: str, target: str) -> str:
    return f"{path.rpartition('/')[0]}/{target}"
