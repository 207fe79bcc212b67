# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what each layer of an image did to the packages, and which tier last changed what is left.

A package counts as changed if its version or its source package differs. The source is compared because scanners look
up a Debian package by it: a layer that only renames the source would hide a finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from ..image import labels
from ..layer_index.entries import Index, InstalledPackage
from ..layer_index.merged_files import ChangeKind, FileSystem, read_kept
from ..layer_index.package_databases import is_database, manager
from ..text import one_line, printable
from ..transports.image import LayerInfo, Stack
from ..transports.image_document import Document, Step, timestamp
from . import distribution
from .components import Component, ImageComponents, Owner, Part
from .distribution import Distribution, read_distribution

_ID = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
#: Package databases have fewer folders above them. A hostile path can have a million.
_DEEPEST = 20

#: Manager, name and architecture of a package.
_Key = tuple[str, str, str]
#: Version, source package and its version.
_Identity = tuple[str, str, str]
#: Usually one package for each key. RPM can install several versions of a package, for example of a kernel.
_Packages = Mapping[_Key, Mapping[_Identity, InstalledPackage]]

#: In place of an empty name. Both formats require one.
_UNNAMED = "?"


def read_components(stack: Stack) -> ImageComponents:
    """List the packages of an image, by layer and at the end."""
    document = stack.document
    parts: list[Part] = []
    installed: dict[tuple[_Key, _Identity], Component] = {}
    before: _Packages = {}
    for part, now in _parts(stack):
        changes = sorted(_changes(before, now, part.owner), key=_order)
        made = {(_key(each), _identity(each.package)): each for each in changes}
        # What is not a change, such as another maintainer, is taken from the newest database.
        installed = {
            (key, identity): made.get((key, identity)) or replace(installed[key, identity], package=package)
            for key, packages in now.items()
            for identity, package in packages.items()
        }
        parts.append(
            replace(
                part,
                components=tuple(each for each in changes if each.change is not ChangeKind.REMOVED),
                removed=tuple(each for each in changes if each.change is ChangeKind.REMOVED),
            )
        )
        before = now
    return ImageComponents(
        id=document.id,
        name=_name(document),
        created=timestamp(document.created),
        parent=_parent(document),
        parts=tuple(parts),
        installed=tuple(sorted(installed.values(), key=_order)),
    )


def _parts(stack: Stack) -> Iterator[tuple[Part, _Packages]]:
    """Yield the parts of an image without their packages, and the packages that are installed after each of them."""
    wanted = _wanted(stack.indexes)
    indexes = [_relevant(index, wanted) for index in stack.indexes]
    files, below = FileSystem(), tuple[str, ...]()
    now: _Packages = {}
    made_by = Distribution()
    for owner, created, layers in _owners(stack):
        unread: list[str] = []
        for index in indexes[len(below) : len(below) + len(layers)]:
            files.add(index)
            unread += map(printable, index.unread)
        if layers:
            now, made_by = _installed(files), _distribution(indexes, files)
        yield Part(owner, created, below, layers, made_by, (), (), tuple(unread)), now
        below += layers


def _owners(stack: Stack) -> Iterator[tuple[Owner, str | None, tuple[str, ...]]]:
    """Yield the owners of all layers, the lowest first, with the time and the layers of each.

    Between them are the tiers that have no layer of their own. If such a tier is the lowest one, it is a base that was
    pulled: it owns the layers of others that it is based on.
    """
    with_layer = {layer.tier for layer in stack.layers}
    layers = list(stack.layers)
    tiers = 0
    foreign: list[LayerInfo] = []
    for step in stack.document.steps if None not in stack.document.layer_steps else ():
        tiers += bool(step.tier)
        if step.empty and step.tier and step.tier not in with_layer:
            pulled = tuple(layer.digest for layer in foreign) if tiers == 1 else ()
            if not pulled:
                yield from map(_single, foreign)
            yield _owner(step, step.tier, None), timestamp(step.created), pulled
            foreign = []
        elif not step.empty:
            foreign.append(layers.pop(0))
            if step.tier:
                yield from map(_single, foreign)
                foreign = []
    # The history ends with layers of others, or it does not match the layers, and nobody knows their owners.
    yield from map(_single, (*foreign, *layers))


def _single(layer: LayerInfo) -> tuple[Owner, str | None, tuple[str, ...]]:
    return _owner(layer, layer.called, layer.digest), layer.created, (layer.digest,)


def _owner(origin: LayerInfo | Step, called: str, layer: str | None) -> Owner:
    return Owner(
        called=printable(one_line(called)) or _UNNAMED,
        tier=_printable(origin.tier),
        team=_printable(origin.team),
        role=_printable(origin.role),
        revision=_printable(origin.revision),
        layer=layer,
    )


def _printable(text: str | None) -> str | None:
    return None if text is None else printable(text)


def _relevant(index: Index, wanted: frozenset[str]) -> Index:
    """Return an index with the wanted entries only: merging all entries of an image takes far longer."""
    return replace(index, entries=tuple(entry for entry in index.entries if entry.path in wanted))


def _wanted(indexes: Iterable[Index]) -> frozenset[str]:
    """Return the paths that decide which packages and which distribution an image has, with all parent folders."""
    paths = {entry.path for index in indexes for entry in index.entries if is_database(entry.path)}
    paths |= set(distribution.PATHS)
    return frozenset(prefix for path in paths for prefix in (path, *_folders(path)))


def _folders(path: str) -> Iterator[str]:
    """Yield the parent folders of a path; of a deeper one, the upper ones."""
    parts = path.split("/", _DEEPEST)
    yield from ("/".join(parts[:count]) for count in range(1, len(parts)))


def _installed(files: FileSystem) -> dict[_Key, dict[_Identity, InstalledPackage]]:
    found: dict[_Key, dict[_Identity, InstalledPackage]] = {}
    for path, packages in sorted(files.installed.items()):
        for package in packages:
            printed = InstalledPackage(*map(printable, package))
            printed = printed._replace(name=printed.name or _UNNAMED)
            key = (manager(path), printed.name, printed.architecture)
            found.setdefault(key, {})[_identity(printed)] = printed
    return found


def _distribution(indexes: Sequence[Index], files: FileSystem) -> Distribution:
    found = (read_kept(indexes, files, path) for path in distribution.PATHS)
    return read_distribution(next((content for content in found if content is not None), b""))


def _changes(before: _Packages, now: _Packages, owner: Owner) -> Iterator[Component]:
    for key in before.keys() | now.keys():
        old, new = before.get(key, {}), now.get(key, {})
        gone = [old[identity] for identity in sorted(old.keys() - new.keys())]
        come = [new[identity] for identity in sorted(new.keys() - old.keys())]
        if len(gone) == len(come) == 1:
            yield Component(key[0], come[0], ChangeKind.CHANGED, gone[0].version, owner)
        else:
            yield from (Component(key[0], package, ChangeKind.REMOVED, None, owner) for package in gone)
            yield from (Component(key[0], package, ChangeKind.ADDED, None, owner) for package in come)


def _key(component: Component) -> _Key:
    return component.manager, component.package.name, component.package.architecture


def _identity(package: InstalledPackage) -> _Identity:
    return package.version, package.source, package.source_version


def _order(component: Component) -> tuple[str, ...]:
    package = component.package
    return package.name, package.architecture, component.manager, *_identity(package)


def _name(document: Document) -> str:
    """Return a name that does not depend on the place of the image, if there is one."""
    tier = document.steps[-1].tier if document.steps else None
    title = str(document.labels.get(labels.TITLE) or "")
    repository = _without_tag(next(iter(document.names), ""))
    return printable(tier or title or repository or document.id)


def _without_tag(name: str) -> str:
    path, colon, tag = name.partition("@")[0].rpartition(":")
    return path if colon and "/" not in tag else name.partition("@")[0]


def _parent(document: Document) -> str | None:
    """Return the ID of the parent's image, from the label of the tier that made the image: others inherit labels."""
    tier = document.steps[-1].tier if document.steps else None
    if tier is None or document.labels.get(labels.TIER) != tier:
        return None
    parent = document.labels.get(labels.PARENT)
    return parent if isinstance(parent, str) and _ID.fullmatch(parent) else None
