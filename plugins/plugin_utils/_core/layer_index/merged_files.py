# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Layers merged into one file system, and apt's configuration in it.

Merging shows what each layer adds, changes and removes, and which layer each entry of the image comes from.

The rules are those of the OCI image specification (``layer.md``). A whiteout removes entries of lower layers, never
entries of its own layer. A folder over a folder is merged with it; any other entry replaces what the path had before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

from ..symlinks import walk
from .entries import DIRECTORY, SYMLINK, Index, IndexEntry, InstalledPackage, Packages
from .package_databases import is_database


class ChangeKind(StrEnum):
    """What a layer does with a path."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    #: Written again without a change: nobody sees a difference, but the image contains the bytes twice.
    REPEATED = "repeated"


class OwnedEntry(msgspec.Struct, frozen=True):
    """An entry, and the layer that it comes from."""

    entry: IndexEntry
    #: Number of the layer; the lowest layer is 0.
    layer: int


class LayerChange(msgspec.Struct, frozen=True):
    """What one layer does with one path."""

    kind: ChangeKind
    path: str
    #: The entry in lower layers; ``None`` if they have no such path.
    before: OwnedEntry | None
    #: The entry in this layer; ``None`` if it removes the path.
    after: IndexEntry | None


class _Node(msgspec.Struct):
    #: ``None`` for a folder that no layer has an entry for.
    owned: OwnedEntry | None = None
    children: dict[str, _Node] = msgspec.field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        return self.owned is None or self.owned.entry.kind == DIRECTORY


class FileSystem:
    """The merged layers: what an image of the layers added so far contains."""

    def __init__(self) -> None:
        """Start without any layer."""
        self._root = _Node()
        self._count = 0
        self._databases: dict[str, Packages] = {}
        self._installed: dict[str, tuple[InstalledPackage, ...]] = {}

    def add(self, index: Index) -> list[LayerChange]:
        """Add one more layer on top.

        Returns:
            Its changes, sorted by path. Unchanged folders, and whiteouts of paths that do not exist, are not changes.
        """
        removed: dict[str, OwnedEntry] = {}
        for folder in index.opaque:
            node = self._node(folder)
            for name in list(node.children) if node else ():
                self._remove(f"{folder}/{name}".lstrip("/"), removed)
        for path in index.whiteouts:
            self._remove(path, removed)
        written: dict[str, IndexEntry] = {}
        for entry in index.entries:
            if self._place(entry, removed):
                written[entry.path] = entry
            else:
                written.pop(entry.path, None)
        changes = [*_written_changes(written, removed), *_removals(removed, written)]
        self._count += 1
        self._read_databases(index, changes)
        return sorted(changes, key=lambda change: change.path)

    def files(self) -> Iterator[OwnedEntry]:
        """Yield all entries; a folder comes before its content."""
        yield from _walk(self._root)

    def find(self, path: str) -> OwnedEntry | None:
        """Return the entry at a path; ``None`` if the path does not exist, or is a folder without an entry."""
        node = self._node(path)
        return node.owned if node else None

    def resolved(self, path: str) -> str:
        """Resolve the symbolic links among a path's parents: ``bin/ls`` becomes ``usr/bin/ls`` if ``bin`` links there.

        A dangling or circular link is returned as far as it could be followed.
        """
        parent, _, name = path.rstrip("/").rpartition("/")
        if name in {"", ".", ".."}:
            return self.target(path)
        return "/".join(filter(None, (self.target(parent), name)))

    def target(self, path: str) -> str:
        """Resolve all symbolic links of a path, also the last one. It need not exist."""
        return walk(path, self._link)[-1].strip("/")

    def _link(self, path: str) -> str | None:
        owned = self.find(path.strip("/"))
        return owned.entry.target if owned and owned.entry.kind == SYMLINK else None

    @property
    def packages(self) -> dict[str, str]:
        """Installed packages, ``name:architecture`` to version."""
        return {name: version for database in self._databases.values() for name, version in database.items()}

    @property
    def databases(self) -> dict[str, Packages]:
        """Package databases, by path."""
        return dict(self._databases)

    @property
    def installed(self) -> dict[str, tuple[InstalledPackage, ...]]:
        """Installed packages with all details, by the path of their database."""
        return dict(self._installed)

    def _node(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for part in path.split("/") if path else ():
            node = node.children.get(part) if node else None
        return node

    def _remove(self, path: str, removed: dict[str, OwnedEntry]) -> None:
        folder, _, name = path.rpartition("/")
        parent_node = self._node(folder)
        node = parent_node.children.pop(name, None) if parent_node else None
        if node is not None:
            self._note_removal(node, removed)

    def _note_removal(self, node: _Node, removed: dict[str, OwnedEntry]) -> None:
        """Remember the removed entries that come from lower layers."""
        for owned in _walk(node):
            if owned.layer < self._count:
                removed.setdefault(owned.entry.path, owned)

    def _place(self, entry: IndexEntry, removed: dict[str, OwnedEntry]) -> bool:
        """Put an entry at its path. Return ``False`` if it only repeats a folder of a lower layer."""
        parent_node = self._root
        for part in entry.path.split("/")[:-1]:
            parent_node = parent_node.children.setdefault(part, _Node())
            if not parent_node.is_folder:
                self._note_removal(parent_node, removed)
                parent_node.owned = None
        name = entry.path.rpartition("/")[2]
        node = parent_node.children.get(name)
        if node is None:
            parent_node.children[name] = _Node(OwnedEntry(entry, self._count))
            return True
        if entry.kind == DIRECTORY and node.is_folder:
            if node.owned is not None and node.owned.entry.same_as(entry):
                return node.owned.layer == self._count
            self._note_removal(_Node(node.owned), removed)
        else:
            self._note_removal(node, removed)
            node.children = {}
        node.owned = OwnedEntry(entry, self._count)
        return True

    def _read_databases(self, index: Index, changes: list[LayerChange]) -> None:
        for change in changes:
            if is_database(change.path):
                self._databases.pop(change.path, None)
                self._installed.pop(change.path, None)
                if change.path in index.databases and change.after is not None:
                    self._databases[change.path] = index.databases[change.path]
                    self._installed[change.path] = index.installed.get(change.path, ())


def _written_changes(written: dict[str, IndexEntry], removed: dict[str, OwnedEntry]) -> Iterator[LayerChange]:
    for path, entry in written.items():
        before = removed.get(path)
        if before is None:
            yield LayerChange(ChangeKind.ADDED, path, None, entry)
        elif not before.entry.same_as(entry):
            yield LayerChange(ChangeKind.CHANGED, path, before, entry)
        elif entry.kind != DIRECTORY:
            yield LayerChange(ChangeKind.REPEATED, path, before, entry)


def _removals(removed: dict[str, OwnedEntry], written: dict[str, IndexEntry]) -> Iterator[LayerChange]:
    for path, before in removed.items():
        if path not in written:
            yield LayerChange(ChangeKind.REMOVED, path, before, None)


def _walk(root: _Node) -> Iterator[OwnedEntry]:
    todo = [root]
    while todo:
        node = todo.pop()
        if node.owned is not None:
            yield node.owned
        todo += [node.children[name] for name in sorted(node.children, reverse=True)]


#: Limit for the size of a file whose content is kept, in bytes.
LARGEST = 1 << 20

#: Files that apt reads (``sources.list(5)``, ``apt_preferences(5)``, ``apt-key(8)``), keyrings, and ``os-release(5)``.
_KEPT = re.compile(
    r"etc/apt/(sources\.list|sources\.list\.d/[\w.-]+\.(list|sources)"
    r"|preferences|preferences\.d/[\w-]+(\.pref)?"
    r"|trusted\.gpg|trusted\.gpg\.d/[\w.-]+\.(gpg|asc)|keyrings/[^/]+)"
    r"|usr/(share|local/share|lib/apt)/keyrings/[^/]+\.(gpg|asc|pgp)"
    r"|(etc|usr/lib)/os-release"
)


def is_kept(path: str) -> bool:
    """Return whether the index of a layer keeps the content of this file."""
    return _KEPT.fullmatch(path) is not None


def read_kept(indexes: Sequence[Index], files: FileSystem, path: str) -> bytes | None:
    """Read a file, following symbolic links.

    Args:
        indexes: The layers of an image, the lowest first.
        files: The file system merged from them, or from the lowest of them.
        path: The path of the file.

    Returns:
        Its content; ``None`` if it does not exist or its content is not kept.
    """
    owned = files.find(files.target(path))
    if owned is None:
        return None
    kept = indexes[owned.layer].kept
    return kept.get(owned.entry.path, kept.get(owned.entry.target))


class AptFiles:
    """The files of an image that configure apt, and the keys that apt trusts."""

    def __init__(self, indexes: tuple[Index, ...], files: FileSystem) -> None:
        """Take the layers of an image, the lowest first, and the file system merged from them."""
        self._indexes, self._files = indexes, files
        self._paths = sorted(owned.entry.path for owned in files.files() if is_kept(owned.entry.path))

    def named(self, pattern: str) -> list[str]:
        """Return the paths that match a regular expression, in the order in which apt reads them."""
        return [path for path in self._paths if re.fullmatch(pattern, path)]

    def read(self, path: str) -> bytes | None:
        """Read a file, following symbolic links; ``None`` if it does not exist or its content is not kept."""
        return read_kept(self._indexes, self._files, path)
