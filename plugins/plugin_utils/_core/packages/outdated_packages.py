# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds outdated packages, their owners, and the smallest set of tiers to rebuild.

A package is outdated if the image's own apt would upgrade it. The apt configuration of the image names the archives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from ..chain.tags import is_lasting
from ..errors import NotFoundError
from ..layer_index import package_databases
from ..layer_index.index import Store
from ..layer_index.merged_files import AptFiles
from ..text import short
from ..transports.image import LayerInfo, Stack, open_stack
from ..transports.transport import open_place
from .apt_archive import Archives
from .image_apt import Apt, Upgrade, merge_packages


class ComparedArchive(msgspec.Struct, frozen=True):
    """A component of an archive whose package index was compared."""

    #: ``deb.debian.org/debian bookworm main``.
    name: str
    #: Whether it holds security updates.
    security: bool
    #: ``checked``, or the reason why its signature was not checked.
    signature: str


class Update(msgspec.Struct, frozen=True):
    """A package for which an archive has a newer version."""

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
    #: Names, or IDs, of the images that got the package from this layer.
    images: list[str]


class Rebuild(msgspec.Struct, frozen=True):
    """A tier or layer to rebuild. Its descendants are rebuilt with it."""

    owner: LayerInfo
    #: Number of updates that the rebuild installs, in the owner and in its descendants.
    updates: int
    #: Number of security updates among them.
    security: int
    #: Owners of these updates: ``owner`` first, then its descendants.
    renews: list[str]


class Outdated(msgspec.Struct, frozen=True):
    """The answer to ``tierwright outdated``."""

    #: Names, or IDs, of the images that were compared.
    images: list[str]
    archives: list[ComparedArchive]
    #: Security updates first, then by owner and name.
    updates: list[Update]
    #: The smallest set of tiers or layers whose rebuild installs all updates.
    rebuild: list[Rebuild]
    #: One sentence for each image, archive or package manager that was not compared.
    unread: list[str]


#: Digests of a layer and of all layers below it. A rebuild of any prefix of them rebuilds this layer too.
_Owner = tuple[str, ...]


class _Collected(msgspec.Struct):
    layers: dict[_Owner, LayerInfo] = msgspec.field(default_factory=dict)
    updates: dict[tuple[_Owner, Upgrade], list[str]] = msgspec.field(default_factory=dict)
    archives: dict[str, ComparedArchive] = msgspec.field(default_factory=dict)
    unread: list[str] = msgspec.field(default_factory=list)


def outdated(stacks: Iterable[Stack], store: Store, report: Callable[[str], None]) -> Outdated:
    """Compare the packages of images with the archives that the apt of each image uses.

    Args:
        stacks: The images.
        store: Cache of package indexes.
        report: Called with a line of progress before each request.
    """
    archives, collected, names = Archives(store, report), _Collected(), []
    for stack in stacks:
        names.append(display_name(stack))
        _compare(stack, archives, collected)
    return Outdated(
        images=names,
        archives=[collected.archives[name] for name in sorted(collected.archives)],
        updates=sorted(_updates(collected), key=lambda update: (not update.security, update.owner.number, update.name)),
        rebuild=list(_rebuild(collected)),
        unread=list(dict.fromkeys(collected.unread)),
    )


def open_all(names: Iterable[str], store: Store, report: Callable[[str], None]) -> Iterator[Stack]:
    """Open the images that the user named, or by default all released tiers in the engine.

    Args:
        names: Names of images; empty for all released tiers in the engine.
        store: Cache of layer indexes.
        report: Called with a line of progress before each image, because the first read of an image is slow.

    Raises:
        NotFoundError: No name is given, and the engine has no released tier.
        TierwrightError: As :func:`.image.open_stack` raises it.
    """
    for name in list(names) or _released(store):
        report(f"opening image {name}")
        yield open_stack(name, store)


def display_name(stack: Stack) -> str:
    """Return the name of an image: preferably one that is in use, otherwise any other, otherwise the short ID."""
    names = stack.document.names
    return next((name for name in names if not is_lasting(name)), next(iter(names), short(stack.document.id)))


def _released(store: Store) -> list[str]:
    place = open_place("", "", store)
    names = [
        next((name for name in each.document.names if not is_lasting(name)), None)
        for each in place.list_images()
        if each.document.steps and each.document.steps[-1].tier
    ]
    if not any(names):
        raise NotFoundError(f"{place.title} has no released tier; name an image")
    return sorted(filter(None, names))


def _compare(stack: Stack, archives: Archives, collected: _Collected) -> None:
    name = display_name(stack)
    files, owners = merge_packages(stack.indexes)
    managers = {package_databases.manager(path) for path in files.databases}
    collected.unread += [
        f"{name}: packages of {manager} are not compared yet" for manager in sorted(managers - {package_databases.DPKG})
    ]
    collected.unread += [f"{name}: {sentence}" for index in stack.indexes for sentence in index.unread]
    if not managers and not any(index.unread for index in stack.indexes):
        collected.unread.append(f"{name}: it has no package database, so nothing is compared")
    apt = Apt(AptFiles(stack.indexes, files), {package: files.packages[package] for package in owners})
    if package_databases.DPKG in managers and not apt.sources:
        collected.unread.append(f"{name}: its apt has no sources, so nothing is compared")
    indexes = apt.indexes(archives, collected.unread)
    collected.archives.update(
        {index.title: ComparedArchive(index.title, index.security, index.signature) for _, index in indexes}
    )
    for upgrade in apt.upgrades(indexes):
        number = owners[upgrade.package]
        owner = stack.document.layers[: number + 1]
        collected.layers[owner] = stack.layers[number]
        collected.updates.setdefault((owner, upgrade), []).append(name)


def _updates(collected: _Collected) -> Iterator[Update]:
    for (owner, upgrade), images in collected.updates.items():
        name, _, architecture = upgrade.package.rpartition(":")
        yield Update(
            name=name,
            architecture=architecture,
            installed=upgrade.installed,
            candidate=upgrade.candidate,
            security=upgrade.security,
            archives=list(upgrade.found_in),
            owner=collected.layers[owner],
            images=images,
        )


def _rebuild(collected: _Collected) -> Iterator[Rebuild]:
    """Yield the lowest owners: those that are not based on any other owner.

    A package is installed again only if its owner, or an ancestor of the owner, is rebuilt. A rebuild also rebuilds all
    descendants. Therefore the lowest owners are sufficient, and each of them is necessary.
    """
    owners = sorted({owner for owner, _ in collected.updates}, key=lambda owner: (len(owner), owner))
    lowest = [each for each in owners if not any(each[: len(other)] == other for other in owners if other != each)]
    for owner in lowest:
        rebuilt = [each for each in owners if each[: len(owner)] == owner]
        rebuilt_set = set(rebuilt)
        updates = {
            (update_owner, upgrade.package, upgrade.candidate): upgrade
            for update_owner, upgrade in collected.updates
            if update_owner in rebuilt_set
        }
        yield Rebuild(
            owner=collected.layers[owner],
            updates=len(updates),
            security=sum(upgrade.security for upgrade in updates.values()),
            renews=list(dict.fromkeys(collected.layers[each].called for each in rebuilt)),
        )
