# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refuses a layer that touches what an ancestor protects (``tier_protects``).

What counts is the layer. An entry at or below a protected path writes it, hides it or, where a file has got another
name, carries it along to another parent. One that takes the place of a folder or a link on the way leads elsewhere.
What a layer leaves out touches nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..chain.tier import Protection
from ..errors import SealError
from .build_memory import Task, Timeline
from .file_entry import WHITEOUT, FileEntry, FileKind, Laid, Origin, PathChange, below, parent, same, shown
from .paths import holder, literally, matcher, split, way

_SHOWN = 3

#: Folders that are searched for links in a pattern's ``**``, at most.
_MOST_FOLDERS = 100_000


@dataclass(frozen=True, slots=True)
class Touch:
    """A protected path that a layer touches."""

    path: bytes
    #: What became of it, in words.
    how: str
    #: The pattern that protects it.
    pattern: str
    owner: Protection
    #: The layer's own entry.
    entry: FileEntry


@dataclass(frozen=True, slots=True)
class _Area:
    """What one pattern protects in one image, or what it protects there behind one link."""

    pattern: str
    owner: Protection
    #: The pattern, and where it is once links are followed.
    names: tuple[str, ...]
    #: Folders and links that lead there.
    way: frozenset[bytes]


class Guard:
    """What the ancestors of one tier protect."""

    def __init__(self, protections: Iterable[Protection], origin: Origin) -> None:
        """Find out where the protected paths really are.

        Args:
            protections: By owner.
            origin: The tree of the parent's image. What the role did to a link on the way is found in the layer.
        """
        self._origin = origin
        find = _Finder(origin)
        self._areas = [area for each in protections for pattern in each.paths for area in find.areas(pattern, each)]
        self._ways = frozenset[bytes]().union(*(area.way for area in self._areas))

    def touched(self, entries: Iterable[FileEntry], changes: Iterable[PathChange]) -> list[Touch]:
        """Find what a layer touches; of a path and what is below it, the latter.

        Args:
            entries: The entries of the layer.
            changes: What they were made of.
        """
        before = {change.before.path: change.before for change in changes if change.before is not None}
        layer = {_named(entry): entry for entry in entries}
        # Where the way leads elsewhere now, what is at its end is not what the owner has there.
        turned = {path for path in self._ways & layer.keys() if _replaces(layer[path], before.get(path))}
        found = {path: layer[path] for path in turned if turned.isdisjoint(_above(path))}
        names = [name for area in self._areas if turned.isdisjoint(area.way) for name in area.names]
        covers, holds = matcher(names), holder(names)
        gone: dict[bytes, FileEntry] = {}
        for path, entry in layer.items():
            was = before.get(path)
            if covers(path):
                found[path] = entry
            elif was is not None and was.kind is FileKind.DIRECTORY is not entry.kind and holds(path):
                gone[path] = entry
        found |= self._led_to({path: entry for path, entry in layer.items() if holds(path)}, layer, found)
        above = {parent(path) for path in found}
        touches = [
            self._touch(path, entry, _how(entry, before.get(path), layer))
            for path, entry in found.items()
            if path not in above
        ]
        for folder, entry in gone.items():
            hidden = filter(covers, (each.path for each in below(self._origin, folder)))
            touches += [self._touch(path, entry, f"removed with /{shown(folder)}") for path in hidden]
        return sorted(touches, key=lambda touch: touch.path)

    def _led_to(
        self, on_the_way: Mapping[bytes, FileEntry], layer: Mapping[bytes, FileEntry], known: Collection[bytes]
    ) -> dict[bytes, FileEntry]:
        """Find the layer's links behind a wildcard that give a protected path to what lies elsewhere."""
        links = {
            path: entry for path, entry in on_the_way.items() if entry.kind is FileKind.SYMLINK and path not in known
        }
        if not links:
            return {}
        now = Laid(self._origin, {path: None if _is_whiteout(entry) else entry for path, entry in layer.items()})
        find = _Finder(now)
        led = {
            path
            for area in {(area.pattern, area.owner) for area in self._areas}
            for behind in find.areas(*area)
            for path in behind.way & links.keys()
            if _has(now, behind.names[1])
        }
        return {path: links[path] for path in led}

    def _touch(self, path: bytes, entry: FileEntry, how: str) -> Touch:
        covering = (area for area in self._areas if matcher(area.names)(path))
        on_the_way = (area for area in self._areas if path in area.way or holder(area.names)(path))
        area = next(covering, None) or next(on_the_way)
        return Touch(path, how, area.pattern, area.owner, entry)


def check(
    protections: Sequence[Protection],
    *,
    origin: Origin,
    entries: Iterable[FileEntry],
    changes: Iterable[PathChange],
    timeline: Timeline,
) -> None:
    """Refuse a layer that touches what its tier's ancestors protect.

    Args:
        protections: What they protect.
        origin: The tree of the parent's image.
        entries: The entries of the layer.
        changes: What they were made of.
        timeline: The tasks of the build.

    Raises:
        SealError: It does; the message names paths, owners and, where they are known, tasks.
    """
    if not protections:
        return
    touches = Guard(protections, origin).touched(entries, changes)
    if touches:
        raise SealError(_refusal(touches, timeline))


class _Finder:
    """Finds where patterns lead in a tree."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def areas(self, pattern: str, owner: Protection) -> Iterator[_Area]:
        """Yield what a pattern protects: by its own name, and behind each link that it may lead through."""
        fixed, rest = split(pattern)
        walked = self._way(fixed)
        yield _area(pattern, owner, walked, rest)
        done = {(walked[-1], rest)}
        waiting = [(walked[-1], rest)]
        while waiting:
            folder, rest = waiting.pop()
            for link, left in self._links(folder, rest):
                walked = self._way(link)
                fixed, behind = split(left)
                walked = [*walked, *self._way("/".join((walked[-1], fixed)))]
                if (walked[-1], behind) not in done and len(done) < _MOST_FOLDERS:
                    done.add((walked[-1], behind))
                    waiting.append((walked[-1], behind))
                    yield _area(pattern, owner, walked, behind)

    def _links(self, folder: str, rest: str) -> Iterator[tuple[str, str]]:
        """Yield the links below a folder that the rest of a pattern leads through, each with what is left behind it."""
        waiting = [(folder, rest)]
        for _count in range(_MOST_FOLDERS):
            if not waiting:
                return
            folder, rest = waiting.pop()
            part, _, left = rest.partition("/")
            if not part:
                continue
            for entry, behind in self._next(os.fsencode(folder), part, left):
                if entry.kind is FileKind.SYMLINK:
                    yield os.fsdecode(entry.path), behind
                elif entry.kind is FileKind.DIRECTORY:
                    waiting.append((os.fsdecode(entry.path), behind))

    def _next(self, folder: bytes, part: str, left: str) -> Iterator[tuple[FileEntry, str]]:
        """Yield what in a folder a part of a pattern may name, with what is left of the pattern behind it."""
        matches = matcher([part])
        rest = "/".join(filter(None, (part, left)))
        for entry in self._origin.listed(folder):
            name = entry.path.rpartition(b"/")[2]
            if "**" in part:  # it may stand for any number of folders
                yield entry, rest
                if left and not (part == "**" and left.startswith("**")):
                    yield entry, left
            elif matches(name):
                yield entry, left

    def _way(self, path: str) -> list[str]:
        return [each.strip("/") for each in way("/" + path, self._link)]

    def _link(self, path: str) -> str | None:
        entry = self._origin.look(os.fsencode(path.strip("/")))
        return os.fsdecode(entry.target) if entry is not None and entry.kind is FileKind.SYMLINK else None


def _area(pattern: str, owner: Protection, walked: Sequence[str], rest: str) -> _Area:
    there = "/".join(filter(None, (literally(walked[-1]), rest)))
    return _Area(pattern, owner, (pattern, there), frozenset(os.fsencode(each) for each in walked if each))


def _has(tree: Origin, pattern: str) -> bool:
    """Say whether something in a tree is what a pattern names."""
    fixed, rest = split(pattern)
    if not rest:
        return tree.look(os.fsencode(fixed)) is not None
    matches = matcher([pattern])
    return any(matches(entry.path) for entry in below(tree, os.fsencode(fixed)))


def _above(path: bytes) -> Iterator[bytes]:
    while path := parent(path):
        yield path


def _named(entry: FileEntry) -> bytes:
    """The path that an entry speaks of."""
    folder, slash, name = entry.path.rpartition(b"/")
    return folder + slash + name.removeprefix(WHITEOUT)


def _is_whiteout(entry: FileEntry) -> bool:
    return entry.path.rpartition(b"/")[2].startswith(WHITEOUT)


def _replaces(entry: FileEntry, was: FileEntry | None) -> bool:
    """Say whether an entry on the way to a protected path leads elsewhere than before, or nowhere."""
    return entry.kind is not FileKind.DIRECTORY or (was is not None and was.kind is not FileKind.DIRECTORY)


def _how(entry: FileEntry, was: FileEntry | None, layer: Mapping[bytes, FileEntry]) -> str:
    if _is_whiteout(entry):
        return "removed"
    if was is None:
        return "made"
    if was.kind is not entry.kind:
        return "replaced"
    if entry.inode is None or not same(entry, was):
        return "changed"
    others = (path for path, each in layer.items() if each.inode == entry.inode and each is not entry)
    return f"linked as /{shown(next(others, b''))}"


def _refusal(touches: Sequence[Touch], timeline: Timeline) -> str:
    owners = dict.fromkeys(touch.owner for touch in touches)
    told = "; ".join(_told(owner, [each for each in touches if each.owner == owner], timeline) for owner in owners)
    teams = " and ".join(sorted({owner.team for owner in owners}))
    return (
        f"its role touched what others protect: {told}. Leave these paths as they are, or ask {teams} for a setting "
        "that gives what is needed, or to take the path out of their tier_protects"
    )


def _told(owner: Protection, touches: Sequence[Touch], timeline: Timeline) -> str:
    paths = [f"/{shown(touch.path)} ({touch.how}{_by(timeline.at(touch.entry))})" for touch in touches[:_SHOWN]]
    rest = len(touches) - len(paths)
    patterns = ", ".join(sorted({f"/{touch.pattern}" for touch in touches}))
    more = f" and {rest} more" if rest else ""
    return f"{', '.join(paths)}{more}; only tier {owner.tier!r} of team {owner.team} may write {patterns}"


def _by(task: Task | None) -> str:
    return f" by {task}" if task and task.role else ""
