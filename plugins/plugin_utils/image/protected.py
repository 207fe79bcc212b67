# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refuses a layer that touches what an ancestor protects (``tier_protects``).

What counts is the layer. An entry at or below a protected path writes it, hides it or, where a file has got another
name, carries it along to another parent. One that takes the place of a folder or a link on the way leads elsewhere.
What a layer leaves out touches nothing.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import docker

from ..chain.protection import Protection
from ..engine import containers
from ..engine.client import translated
from ..errors import EngineError, SealError
from .entry import WHITEOUT, Change, Entry, Kind, parent, same, shown
from .links import Links
from .patterns import holder, literally, matcher, split
from .pieces import reader
from .tasks import Task, Timeline

_SHOWN = 3

#: Walks to a path: every folder and link on the way, and last of all where it ends.
Way = Callable[[str], Sequence[str]]

#: Lists all that is below folders of the parent's image.
Below = Callable[[Iterable[bytes]], Iterable[bytes]]


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
    entry: Entry


@dataclass(frozen=True, slots=True)
class _Area:
    """What one pattern protects in one image."""

    pattern: str
    owner: Protection
    #: The pattern, and where it is once links are followed.
    names: tuple[str, ...]
    #: Folders and links that lead there.
    way: frozenset[bytes]


class Guard:
    """What the ancestors of one tier protect."""

    def __init__(self, protections: Iterable[Protection], way: Way) -> None:
        """Find out where the protected paths really are.

        Args:
            protections: By owner.
            way: Walks to a path in the build container. What the role did to a link on the way is found in the layer.
        """
        self._areas = [_area(pattern, each, way) for each in protections for pattern in each.paths]
        self._ways = frozenset[bytes]().union(*(area.way for area in self._areas))

    def touched(self, entries: Iterable[Entry], changes: Iterable[Change], below: Below) -> list[Touch]:
        """Find what a layer touches; of a path and what is below it, the latter.

        Args:
            entries: The entries of the layer.
            changes: What they were made of.
            below: Asked only where the layer removes a folder that a protected path may have been in.
        """
        before = {change.before.path: change.before for change in changes if change.before is not None}
        layer = {_named(entry): entry for entry in entries}
        # Where the way leads elsewhere now, what is at its end is not what the owner has there.
        turned = {path for path in self._ways & layer.keys() if _replaces(layer[path], before.get(path))}
        found = {path: layer[path] for path in turned if turned.isdisjoint(_above(path))}
        names = [name for area in self._areas if turned.isdisjoint(area.way) for name in area.names]
        covers, holds = matcher(names), holder(names)
        gone: dict[bytes, Entry] = {}
        for path, entry in layer.items():
            was = before.get(path)
            if covers(path):
                found[path] = entry
            elif was is not None and was.kind is Kind.DIRECTORY is not entry.kind and holds(path):
                gone[path] = entry
        above = {parent(path) for path in found}
        touches = [
            self._touch(path, entry, _how(entry, before.get(path), layer))
            for path, entry in found.items()
            if path not in above
        ]
        if gone:
            for path in filter(covers, below(gone)):
                folder = next(each for each in gone if path.startswith(each + b"/"))
                touches.append(self._touch(path, gone[folder], f"removed with /{shown(folder)}"))
        return sorted(touches, key=lambda touch: touch.path)

    def _touch(self, path: bytes, entry: Entry, how: str) -> Touch:
        covering = (area for area in self._areas if matcher(area.names)(path))
        area = next(covering, None) or next(area for area in self._areas if path in area.way)
        return Touch(path, how, area.pattern, area.owner, entry)


def check(
    client: docker.DockerClient,
    protections: Sequence[Protection],
    *,
    container: str,
    entries: Iterable[Entry],
    changes: Iterable[Change],
    timeline: Timeline,
) -> None:
    """Refuse a layer that touches what its tier's ancestors protect.

    Args:
        client: The engine.
        protections: What they protect.
        container: ID of the build container, which has ended.
        entries: The entries of the layer.
        changes: What they were made of.
        timeline: The tasks of the build.

    Raises:
        SealError: It does; the message names paths, owners and, where they are known, tasks.
        EngineError: The engine does not answer.
    """
    if not protections:
        return

    def below(folders: Iterable[bytes]) -> Iterator[bytes]:
        return _listed(client, container, folders)

    touches = Guard(protections, Links(client, container).way).touched(entries, changes, below)
    if touches:
        raise SealError(_refusal(touches, timeline))


def _area(pattern: str, owner: Protection, way: Way) -> _Area:
    fixed, rest = split(pattern)
    walked = [each.strip("/") for each in way("/" + fixed)]
    there = "/".join(filter(None, (literally(walked[-1]), rest)))
    return _Area(pattern, owner, (pattern, there), frozenset(os.fsencode(each) for each in walked if each))


def _above(path: bytes) -> Iterator[bytes]:
    while path := parent(path):
        yield path


def _named(entry: Entry) -> bytes:
    """The path that an entry speaks of."""
    folder, slash, name = entry.path.rpartition(b"/")
    return folder + slash + name.removeprefix(WHITEOUT)


def _is_whiteout(entry: Entry) -> bool:
    return entry.path.rpartition(b"/")[2].startswith(WHITEOUT)


def _replaces(entry: Entry, was: Entry | None) -> bool:
    """Say whether an entry on the way to a protected path leads elsewhere than before, or nowhere."""
    return entry.kind is not Kind.DIRECTORY or (was is not None and was.kind is not Kind.DIRECTORY)


def _how(entry: Entry, was: Entry | None, layer: Mapping[bytes, Entry]) -> str:
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


def _listed(client: docker.DockerClient, container: str, folders: Iterable[bytes]) -> Iterator[bytes]:
    """List all that was below folders when a container was made."""
    with translated(f"looking at what container {container} was made from"):
        told = client.api.inspect_container(container)
        made = client.api.create_container(told["Image"], command=["-"], labels=told["Config"].get("Labels"))["Id"]
        try:
            for folder in folders:
                pieces, _told = client.api.get_archive(made, b"/" + folder)
                with tarfile.open(fileobj=reader(pieces), mode="r|") as tar:
                    for member in tar:
                        name = member.name.encode("utf-8", "surrogateescape").strip(b"/")
                        yield b"/".join(filter(None, (parent(folder), name)))
        except tarfile.TarError as error:
            raise EngineError(f"the archive of a folder of image {told['Image']} is damaged ({error})") from error
        finally:
            containers.remove(client, made)
