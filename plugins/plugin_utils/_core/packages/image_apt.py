# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The apt of an image: its sources, its pins, and what it would upgrade. Nothing of the image runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from urllib.parse import quote

import msgspec

from ..layer_index import package_databases
from ..layer_index.entries import Index
from ..layer_index.merged_files import AptFiles, FileSystem
from . import apt_sources
from .apt_archive import Archives, PackageIndex, title
from .apt_preferences import Offer, candidate, key, pins
from .apt_sources import NotReadError, Source

_LISTS = r"etc/apt/sources\.list(\.d/.*\.list)?"
_STANZAS = r"etc/apt/sources\.list\.d/.*\.sources"
_PREFERENCES = r"etc/apt/preferences(\.d/.*)?"
_ANY = "all"


class Upgrade(msgspec.Struct, frozen=True):
    """A package that apt would upgrade."""

    #: ``name:architecture``.
    package: str
    installed: str
    candidate: str
    #: Whether a security archive has a newer version than the installed one.
    security: bool
    #: Titles of the package indexes that contain the candidate.
    found_in: tuple[str, ...]


class SecurityFix(msgspec.Struct, frozen=True):
    """A version of a package that is a security update for an installed one."""

    #: Title of the package index that contains it.
    archive: str
    #: ``name:architecture``, of the installed package.
    package: str
    installed: str
    version: str
    #: Address of its file, which may contain a password; empty if the archive does not name one.
    address: str


class Apt:
    """The apt of one image."""

    def __init__(self, files: AptFiles, packages: Mapping[str, str]) -> None:
        """Take the image's apt files and its packages, ``name:architecture`` to version."""
        self._files, self._packages = files, packages
        self._pins = [pin for text in self._texts(_PREFERENCES) for pin in pins(text)]
        #: The suites that it fetches packages from.
        self.sources = list(self._sources())

    def indexes(self, archives: Archives, unread: list[str]) -> list[tuple[str, PackageIndex]]:
        """Read the package indexes of all sources.

        Args:
            archives: Reads the indexes.
            unread: The method appends a sentence for each source that cannot be read.

        Returns:
            Pairs of an architecture and a package index for it.
        """
        indexes = []
        for source in self.sources:
            for architecture in self._architectures:
                try:
                    indexes += [(architecture, each) for each in archives.indexes(source, architecture, self._files)]
                except NotReadError as error:
                    unread.append(f"{title(source)} is not compared: {error}")
                    break
        return indexes

    def upgrades(self, indexes: list[tuple[str, PackageIndex]]) -> Iterator[Upgrade]:
        """Compare the installed packages with the indexes that :meth:`indexes` returned."""
        for package, versions in self._packages.items():
            installed = max(versions.split(", "), key=key)
            offers = [(Offer(version, index.component), index) for version, index, _ in self._offers(package, indexes)]
            best = candidate(package.rpartition(":")[0], installed, [offer for offer, _ in offers], self._pins)
            if key(best) > key(installed):
                yield Upgrade(
                    package=package,
                    installed=installed,
                    candidate=best,
                    security=any(index.security and key(installed) < key(offer.version) for offer, index in offers),
                    found_in=tuple(dict.fromkeys(index.title for offer, index in offers if offer.version == best)),
                )

    def fixes(self, upgrade: Upgrade, indexes: list[tuple[str, PackageIndex]]) -> Iterator[SecurityFix]:
        """Yield all security updates for a package that :meth:`upgrades` returned."""
        for version, index, path in self._offers(upgrade.package, indexes):
            if index.security and key(version) > key(upgrade.installed):
                address = f"{index.address}/{quote(path)}" if path else ""
                yield SecurityFix(index.title, upgrade.package, upgrade.installed, version, address)

    def _offers(self, package: str, indexes: list[tuple[str, PackageIndex]]) -> Iterator[tuple[str, PackageIndex, str]]:
        """Yield the versions of a package, each with its index, and the path of its file if the index keeps it."""
        name, _, architecture = package.rpartition(":")
        wanted = next(iter(self._architectures), "") if architecture == _ANY else architecture
        for index_architecture, index in indexes:
            if index_architecture == wanted:
                for version, package_architecture, *path in index.packages.get(name, ()):
                    if package_architecture in {wanted, _ANY}:
                        yield version, index, "".join(path)

    @cached_property
    def _architectures(self) -> list[str]:
        """The architectures of the installed packages, the most frequent first."""
        count = Counter(package.rpartition(":")[2] for package in self._packages)
        return [architecture for architecture, _ in count.most_common() if architecture not in {_ANY, ""}]

    def _sources(self) -> Iterator[Source]:
        for text in self._texts(_LISTS):
            yield from apt_sources.one_line(text)
        for text in self._texts(_STANZAS):
            yield from apt_sources.deb822(text)

    def _texts(self, pattern: str) -> Iterator[str]:
        for path in self._files.named(pattern):
            yield (self._files.read(path) or b"").decode(errors="replace")


def merge_packages(indexes: Iterable[Index]) -> tuple[FileSystem, dict[str, int]]:
    """Merge the layers of an image, the lowest first.

    Returns:
        The file system, and for each package of dpkg the number of the layer that last changed it.
    """
    owners: dict[str, int] = {}
    files, before = FileSystem(), dict[str, str]()
    for number, index in enumerate(indexes):
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
