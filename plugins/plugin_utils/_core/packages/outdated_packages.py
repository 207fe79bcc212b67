# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packages with a newer version, and what to rebuild.

What an image's own apt would upgrade, found out from its files and from the archives that they name.

Packages of which the archive has a newer version, whose they are, and what to build anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..chain.tags import is_lasting
from ..errors import NotFoundError
from ..layer_index import package_databases
from ..layer_index.index import Store
from ..layer_index.merged_files import FileSystem, Kept
from ..text import short
from ..transports.image import LayerInfo, Stack, open_stack
from ..transports.transport import open_place
from . import apt_sources
from .apt_archive import Archives, Component, title
from .apt_preferences import Offer, candidate, key, pins
from .apt_sources import NotReadError, Source

_LISTS = r"etc/apt/sources\.list(\.d/.*\.list)?"
_STANZAS = r"etc/apt/sources\.list\.d/.*\.sources"
_PREFERENCES = r"etc/apt/preferences(\.d/.*)?"
_ANY = "all"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A package of which apt would take a newer version."""

    #: ``name:architecture``.
    package: str
    installed: str
    candidate: str
    #: Whether a newer version than the installed one is among security updates.
    security: bool
    #: Titles of the archives that have the candidate.
    found_in: tuple[str, ...]


class Apt:
    """The apt of one image."""

    def __init__(self, kept: Kept, packages: Mapping[str, str]) -> None:
        """Take the image's files and its packages, ``name:architecture`` to version."""
        self._kept, self._packages = kept, packages
        self._pins = [pin for text in self._texts(_PREFERENCES) for pin in pins(text)]
        #: What it fetches packages from.
        self.sources = list(self._sources())

    def components(self, archives: Archives, unread: list[str]) -> list[tuple[str, Component]]:
        """Read what its sources have, each with the architecture that it is for.

        Args:
            archives: Reads them.
            unread: Gets a sentence for each source that cannot be read.
        """
        found = []
        for source in self.sources:
            for architecture in self._architectures():
                try:
                    found += [(architecture, each) for each in archives.components(source, architecture, self._kept)]
                except NotReadError as error:
                    unread.append(f"{title(source)} is not compared: {error}")
                    break
        return found

    def upgrades(self, components: list[tuple[str, Component]]) -> Iterator[Upgrade]:
        """Compare the packages with what archives have, as :meth:`components` found it."""
        native = next(self._architectures(), "")
        for package, versions in self._packages.items():
            name, _, architecture = package.rpartition(":")
            installed = max(versions.split(", "), key=key)
            wanted = native if architecture == _ANY else architecture
            offers = [
                (Offer(version, component.shelf), component)
                for of, component in components
                if of == wanted
                for version, its in component.packages.get(name, ())
                if its in {wanted, _ANY}
            ]
            best = candidate(name, installed, [offer for offer, _ in offers], self._pins)
            if key(best) > key(installed):
                yield Upgrade(
                    package=package,
                    installed=installed,
                    candidate=best,
                    security=any(part.security and key(installed) < key(each.version) for each, part in offers),
                    found_in=tuple(dict.fromkeys(part.title for each, part in offers if each.version == best)),
                )

    def _architectures(self) -> Iterator[str]:
        """Architectures of the installed packages, the one of most of them first."""
        count = Counter(package.rpartition(":")[2] for package in self._packages)
        yield from (architecture for architecture, _ in count.most_common() if architecture not in {_ANY, ""})

    def _sources(self) -> Iterator[Source]:
        for text in self._texts(_LISTS):
            yield from apt_sources.one_line(text)
        for text in self._texts(_STANZAS):
            yield from apt_sources.deb822(text)

    def _texts(self, pattern: str) -> Iterator[str]:
        for path in self._kept.named(pattern):
            yield (self._kept.read(path) or b"").decode(errors="replace")


@dataclass(frozen=True, slots=True)
class ComparedArchive:
    """A part of an archive that was compared with."""

    #: ``deb.debian.org/debian bookworm main``.
    name: str
    #: Whether it holds security updates.
    security: bool
    #: ``checked``, or why its signature was not.
    signature: str


@dataclass(frozen=True, slots=True)
class Update:
    """A package of which there is a newer version."""

    name: str
    architecture: str
    installed: str
    #: The version that apt would install.
    candidate: str
    #: Whether a newer version than the installed one is a security update.
    security: bool
    #: Names of the archives that have the candidate.
    archives: list[str]
    #: The layer that last changed the package.
    owner: LayerInfo
    #: Names, or IDs, of the images that have it from there.
    images: list[str]


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A tier, or a layer, to build anew. What stands on it is built anew with it."""

    owner: LayerInfo
    #: Updates that this brings: its own, and those of what stands on it.
    updates: int
    #: How many of them are security updates.
    security: int
    #: Owners of these updates, itself first.
    renews: list[str]


@dataclass(frozen=True, slots=True)
class Outdated:
    """The answer to ``tierwright outdated``."""

    #: Names, or IDs, of the images that were looked at.
    images: list[str]
    archives: list[ComparedArchive]
    #: Security updates first, then by owner and name.
    updates: list[Update]
    #: The fewest that bring all updates.
    rebuild: list[Rebuild]
    #: Sentences about what was not compared.
    unread: list[str]


#: Digests of a layer and of all below it: what is built anew with whatever these begin with.
_Owner = tuple[str, ...]


@dataclass(slots=True)
class _Found:
    layers: dict[_Owner, LayerInfo] = field(default_factory=dict)
    updates: dict[tuple[_Owner, Upgrade], list[str]] = field(default_factory=dict)
    archives: dict[str, ComparedArchive] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


def outdated(stacks: Iterable[Stack], store: Store, say: Callable[[str], None]) -> Outdated:
    """Compare the packages of images with the archives that the images' own apt is set to.

    Args:
        stacks: The images.
        store: For what is read of archives.
        say: Called with a line before something that takes time.
    """
    archives, found, names = Archives(store, say), _Found(), []
    for stack in stacks:
        names.append(called(stack))
        _look(stack, archives, found)
    return Outdated(
        images=names,
        archives=[found.archives[name] for name in sorted(found.archives)],
        updates=sorted(_updates(found), key=lambda each: (not each.security, each.owner.number, each.name)),
        rebuild=list(_rebuild(found)),
        unread=list(dict.fromkeys(found.unread)),
    )


def open_all(names: Iterable[str], store: Store, say: Callable[[str], None]) -> Iterator[Stack]:
    """Open the images that a user names, or those that are released of all tiers in the engine.

    Args:
        names: The images.
        store: For what is read.
        say: Called with a line before each, since reading one for the first time takes long.

    Raises:
        NotFoundError: No name is given, and the engine holds no such tier.
        TierwrightError: As opening an image does.
    """
    for name in list(names) or _released(store):
        say(f"looking at {name}")
        yield open_stack(name, store)


def called(stack: Stack) -> str:
    """Name an image by what says that it is in use, else by any name, else by its ID."""
    names = stack.document.names
    return next((name for name in names if not is_lasting(name)), next(iter(names), short(stack.document.id)))


def _released(store: Store) -> list[str]:
    place = open_place("", "", store)
    names = [
        next((name for name in each.document.names if not is_lasting(name)), None)
        for each in place.held()
        if each.document.steps and each.document.steps[-1].tier
    ]
    if not any(names):
        raise NotFoundError(f"{place.title} holds no tier that is released; name an image")
    return sorted(filter(None, names))


def _look(stack: Stack, archives: Archives, found: _Found) -> None:
    name = called(stack)
    files, owners = _laid(stack)
    managers = {package_databases.manager(path) for path in files.databases}
    found.unread += [
        f"{name}: packages of {each} are not compared yet" for each in sorted(managers - {package_databases.DPKG})
    ]
    found.unread += [f"{name}: {sentence}" for index in stack.indexes for sentence in index.unread]
    if not managers and not any(index.unread for index in stack.indexes):
        found.unread.append(f"{name}: it has no database of packages, so nothing is compared")
    apt = Apt(Kept(stack.indexes, files), {package: files.packages[package] for package in owners})
    if package_databases.DPKG in managers and not apt.sources:
        found.unread.append(f"{name}: its apt has no sources, so nothing is compared")
    components = apt.components(archives, found.unread)
    found.archives.update(
        {each.title: ComparedArchive(each.title, each.security, each.signature) for _, each in components}
    )
    for upgrade in apt.upgrades(components):
        number = owners[upgrade.package]
        owner = stack.document.layers[: number + 1]
        found.layers[owner] = stack.layers[number]
        found.updates.setdefault((owner, upgrade), []).append(name)


def _laid(stack: Stack) -> tuple[FileSystem, dict[str, int]]:
    """Lay an image's layers: its file system, and of dpkg's packages the layer that last changed each."""
    owners: dict[str, int] = {}
    files, before = FileSystem(), dict[str, str]()
    for number, index in enumerate(stack.indexes):
        files.add(index)
        now = {
            package: version
            for path, packages in files.databases.items()
            if package_databases.manager(path) == package_databases.DPKG
            for package, version in packages.items()
        }
        owners = {
            package: owners[package] if before.get(package) == version else number for package, version in now.items()
        }
        before = now
    return files, owners


def _updates(found: _Found) -> Iterator[Update]:
    for (owner, upgrade), images in found.updates.items():
        name, _, architecture = upgrade.package.rpartition(":")
        yield Update(
            name=name,
            architecture=architecture,
            installed=upgrade.installed,
            candidate=upgrade.candidate,
            security=upgrade.security,
            archives=list(upgrade.found_in),
            owner=found.layers[owner],
            images=images,
        )


def _rebuild(found: _Found) -> Iterator[Rebuild]:
    """Of the owners, those that stand on no other.

    An owner has to be built anew itself, or something below it, for its package to be installed again; and whatever
    stands on what is built anew is built anew. So the lowest owners are enough, and none of them can be left out.
    """
    owners = sorted({owner for owner, _ in found.updates}, key=lambda owner: (len(owner), owner))
    lowest = [each for each in owners if not any(each[: len(other)] == other for other in owners if other != each)]
    for owner in lowest:
        renewed = [each for each in owners if each[: len(owner)] == owner]
        mine = set(renewed)
        updates = {(of, upgrade.package, upgrade.candidate): upgrade for of, upgrade in found.updates if of in mine}
        yield Rebuild(
            owner=found.layers[owner],
            updates=len(updates),
            security=sum(upgrade.security for upgrade in updates.values()),
            renews=list(dict.fromkeys(found.layers[each].called for each in renewed)),
        )
