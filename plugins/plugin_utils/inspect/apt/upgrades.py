# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an image's own apt would upgrade, found out from its files and from the archives that they name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..kept import Kept
from . import sources
from .archive import Archives, Component, title
from .errors import NotReadError
from .preferences import Offer, candidate, pins
from .sources import Source
from .version import key

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
            yield from sources.one_line(text)
        for text in self._texts(_STANZAS):
            yield from sources.deb822(text)

    def _texts(self, pattern: str) -> Iterator[str]:
        for path in self._kept.named(pattern):
            yield (self._kept.read(path) or b"").decode(errors="replace")
