# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rejects a layer that changes a path that an ancestor protects (``tier_protects``).

Only the entries of the layer are checked; paths that the layer leaves out are not. An entry at or below a protected
path writes the path or hides it. If a protected file got a second name, the layer contains a copy of the file, which
would also hide the file of a new parent. An entry that replaces a folder or a link on the way changes where the path
leads.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from ..chain.tier import Protection
from ..errors import SealError
from ..symlinks import walk
from .build_memory import Task, Timeline
from .file_entry import (
    WHITEOUT,
    FileEntry,
    FileKind,
    LayeredTree,
    Origin,
    PathChange,
    below,
    parent,
    printable_path,
    same,
)
from .paths import escape, matcher, prefix_matcher, split

#: Number of paths of one owner in a message.
_SHOWN = 3

#: Limit of folders that are searched for links that ``**`` may lead through.
_MAX_FOLDERS = 100_000


class Touch(msgspec.Struct, frozen=True):
    """A protected path that a layer changes."""

    path: bytes
    #: The kind of change, for the message: ``removed``, ``created`` …
    how: str
    #: The pattern that protects it.
    pattern: str
    owner: Protection
    #: The layer's own entry.
    entry: FileEntry


class _Area(msgspec.Struct, frozen=True):
    """The paths that one pattern protects in one image, directly or through one link."""

    pattern: str
    owner: Protection
    #: The pattern as it is written, and with all links resolved.
    names: tuple[str, ...]
    #: Folders and links on the way to the paths.
    way: frozenset[bytes]


class Guard:
    """The paths that the ancestors of one tier protect."""

    def __init__(self, protections: Iterable[Protection], origin: Origin) -> None:
        """Resolve the links on the way to the protected paths.

        Args:
            protections: One for each owner.
            origin: The tree of the parent's image. Changes of the role to links on the way are found in the layer.
        """
        self._origin = origin
        finder = _Finder(origin)
        self._areas = [
            area
            for protection in protections
            for pattern in protection.paths
            for area in finder.areas(pattern, protection)
        ]
        self._ways = frozenset[bytes]().union(*(area.way for area in self._areas))

    def find_touches(self, entries: Iterable[FileEntry], changes: Iterable[PathChange]) -> list[Touch]:
        """Find the protected paths that a layer changes, sorted by path.

        A path is left out if a path below it is in the result.

        Args:
            entries: The entries of the layer.
            changes: The changes that the entries were made from.
        """
        before = {change.before.path: change.before for change in changes if change.before is not None}
        layer = {_target(entry): entry for entry in entries}
        # If the way now leads to a different place, that place does not have the owner's content.
        redirected = {path for path in self._ways & layer.keys() if _replaces(layer[path], before.get(path))}
        touched = {path: layer[path] for path in redirected if redirected.isdisjoint(_ancestors(path))}
        names = [name for area in self._areas if redirected.isdisjoint(area.way) for name in area.names]
        covers, may_contain = matcher(names), prefix_matcher(names)
        removed_folders: dict[bytes, FileEntry] = {}
        for path, entry in layer.items():
            old = before.get(path)
            if covers(path):
                touched[path] = entry
            elif old is not None and old.kind is FileKind.DIRECTORY is not entry.kind and may_contain(path):
                removed_folders[path] = entry
        on_the_way = {path: entry for path, entry in layer.items() if may_contain(path)}
        touched |= self._new_links(on_the_way, layer, touched)
        parents = {parent(path) for path in touched}
        touches = [
            self._touch(path, entry, _how(entry, before.get(path), layer))
            for path, entry in touched.items()
            if path not in parents
        ]
        for folder, entry in removed_folders.items():
            hidden = filter(covers, (old.path for old in below(self._origin, folder)))
            touches += [self._touch(path, entry, f"removed with /{printable_path(folder)}") for path in hidden]
        return sorted(touches, key=lambda touch: touch.path)

    def _new_links(
        self, on_the_way: Mapping[bytes, FileEntry], layer: Mapping[bytes, FileEntry], known: Collection[bytes]
    ) -> dict[bytes, FileEntry]:
        """Find the layer's links by which a protected path with wildcards now leads to existing files elsewhere."""
        links = {
            path: entry for path, entry in on_the_way.items() if entry.kind is FileKind.SYMLINK and path not in known
        }
        if not links:
            return {}
        now = LayeredTree(self._origin, {path: None if _is_whiteout(entry) else entry for path, entry in layer.items()})
        finder = _Finder(now)
        used = {
            path
            for pattern, owner in {(area.pattern, area.owner) for area in self._areas}
            for area in finder.areas(pattern, owner)
            for path in area.way & links.keys()
            if _has(now, area.names[1])
        }
        return {path: links[path] for path in used}

    def _touch(self, path: bytes, entry: FileEntry, how: str) -> Touch:
        covering = (area for area in self._areas if matcher(area.names)(path))
        leading = (area for area in self._areas if path in area.way or prefix_matcher(area.names)(path))
        area = next(covering, None) or next(leading)
        return Touch(path, how, area.pattern, area.owner, entry)


def check(
    protections: Sequence[Protection],
    *,
    origin: Origin,
    entries: Iterable[FileEntry],
    changes: Iterable[PathChange],
    timeline: Timeline,
) -> None:
    """Reject a layer that changes a path that an ancestor of its tier protects.

    Args:
        protections: The paths that the ancestors protect.
        origin: The tree of the parent's image.
        entries: The entries of the layer.
        changes: The changes that the entries were made from.
        timeline: The tasks of the build.

    Raises:
        SealError: The layer does so. The message names the paths, the owners and, if they are known, the tasks.
    """
    if not protections:
        return
    touches = Guard(protections, origin).find_touches(entries, changes)
    if touches:
        raise SealError(_message(touches, timeline))


class _Finder:
    """Resolves the links of patterns in a tree."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def areas(self, pattern: str, owner: Protection) -> Iterator[_Area]:
        """Yield the areas that a pattern protects: the one of the pattern itself, and one for each link on its way."""
        fixed, rest = split(pattern)
        visited = self._walk(fixed)
        yield _area(pattern, owner, visited, rest)
        done = {(visited[-1], rest)}
        waiting = [(visited[-1], rest)]
        while waiting:
            folder, rest = waiting.pop()
            for link, behind in self._links(folder, rest):
                visited = self._walk(link)
                fixed, remainder = split(behind)
                visited = [*visited, *self._walk("/".join((visited[-1], fixed)))]
                if (visited[-1], remainder) not in done and len(done) < _MAX_FOLDERS:
                    done.add((visited[-1], remainder))
                    waiting.append((visited[-1], remainder))
                    yield _area(pattern, owner, visited, remainder)

    def _links(self, folder: str, rest: str) -> Iterator[tuple[str, str]]:
        """Yield the links below a folder that match parts of a pattern, each with the rest of the pattern after it."""
        waiting = [(folder, rest)]
        for _count in range(_MAX_FOLDERS):
            if not waiting:
                return
            folder, rest = waiting.pop()
            part, _, behind = rest.partition("/")
            if not part:
                continue
            for entry, remainder in self._matches(os.fsencode(folder), part, behind):
                if entry.kind is FileKind.SYMLINK:
                    yield os.fsdecode(entry.path), remainder
                elif entry.kind is FileKind.DIRECTORY:
                    waiting.append((os.fsdecode(entry.path), remainder))

    def _matches(self, folder: bytes, part: str, behind: str) -> Iterator[tuple[FileEntry, str]]:
        """Yield the entries of a folder that one part of a pattern may match, each with the rest of the pattern."""
        matches = matcher([part])
        whole = "/".join(filter(None, (part, behind)))
        for entry in self._origin.children(folder):
            name = entry.path.rpartition(b"/")[2]
            if "**" in part:  # matches any number of folders
                yield entry, whole
                if behind and not (part == "**" and behind.startswith("**")):
                    yield entry, behind
            elif matches(name):
                yield entry, behind

    def _walk(self, path: str) -> list[str]:
        return [step.strip("/") for step in walk("/" + path, self._link_target)]

    def _link_target(self, path: str) -> str | None:
        entry = self._origin.get(os.fsencode(path.strip("/")))
        return os.fsdecode(entry.target) if entry is not None and entry.kind is FileKind.SYMLINK else None


def _area(pattern: str, owner: Protection, visited: Sequence[str], rest: str) -> _Area:
    resolved = "/".join(filter(None, (escape(visited[-1]), rest)))
    return _Area(pattern, owner, (pattern, resolved), frozenset(os.fsencode(step) for step in visited if step))


def _has(tree: Origin, pattern: str) -> bool:
    """Tell whether a path of a tree matches a pattern."""
    fixed, rest = split(pattern)
    if not rest:
        return tree.get(os.fsencode(fixed)) is not None
    matches = matcher([pattern])
    return any(matches(entry.path) for entry in below(tree, os.fsencode(fixed)))


def _ancestors(path: bytes) -> Iterator[bytes]:
    while path := parent(path):
        yield path


def _target(entry: FileEntry) -> bytes:
    """Return the path that an entry writes or, as a whiteout, removes."""
    folder, slash, name = entry.path.rpartition(b"/")
    return folder + slash + name.removeprefix(WHITEOUT)


def _is_whiteout(entry: FileEntry) -> bool:
    return entry.path.rpartition(b"/")[2].startswith(WHITEOUT)


def _replaces(entry: FileEntry, old: FileEntry | None) -> bool:
    """Tell whether an entry on the way to a protected path changes where the path leads."""
    return entry.kind is not FileKind.DIRECTORY or (old is not None and old.kind is not FileKind.DIRECTORY)


def _how(entry: FileEntry, old: FileEntry | None, layer: Mapping[bytes, FileEntry]) -> str:
    if _is_whiteout(entry):
        return "removed"
    if old is None:
        return "created"
    if old.kind is not entry.kind:
        return "replaced"
    if entry.inode is None or not same(entry, old):
        return "changed"
    others = (path for path, other in layer.items() if other.inode == entry.inode and other is not entry)
    return f"linked as /{printable_path(next(others, b''))}"


def _message(touches: Sequence[Touch], timeline: Timeline) -> str:
    owners = dict.fromkeys(touch.owner for touch in touches)
    changed = "; ".join(
        _describe(owner, [touch for touch in touches if touch.owner == owner], timeline) for owner in owners
    )
    teams = " and ".join(sorted({owner.team for owner in owners}))
    return (
        f"its role changed protected paths: {changed}. Do not change these paths, or ask {teams} for a variable that "
        "sets what you need, or to remove the path from their tier_protects"
    )


def _describe(owner: Protection, touches: Sequence[Touch], timeline: Timeline) -> str:
    paths = [
        f"/{printable_path(touch.path)} ({touch.how}{_by(timeline.at(touch.entry))})" for touch in touches[:_SHOWN]
    ]
    rest = len(touches) - len(paths)
    patterns = ", ".join(sorted({f"/{touch.pattern}" for touch in touches}))
    more = f" and {rest} more" if rest else ""
    return f"{', '.join(paths)}{more}; only tier {owner.tier!r} of team {owner.team} may write {patterns}"


def _by(task: Task | None) -> str:
    return f" by {task}" if task and task.role else ""
