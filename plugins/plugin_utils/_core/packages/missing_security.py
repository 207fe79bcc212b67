# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which security updates the layers of one tier miss.

The apt of the tier's own image is asked, so a tier above cannot hide an update by other sources or pins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..layer_index import package_databases
from ..layer_index.entries import Index
from ..layer_index.merged_files import AptFiles, FileSystem
from ..transports.image import Stack
from .apt_archive import Archives, PackageIndex
from .apt_sources import CHECKED
from .image_apt import Apt, SecurityFix, merge_packages


class NotComparedError(Exception):
    """It is not known which security updates are missing. The message has the reasons."""


class MissingSecurity:
    """The missing security updates of one image, by tier."""

    def __init__(self, stack: Stack, archives: Archives) -> None:
        """Take the image, and what reads archives."""
        self._indexes, self._archives = stack.indexes, archives
        _files, self._owners = merge_packages(stack.indexes)

    def find(self, below: int, count: int, is_wanted: Callable[[str], bool]) -> list[SecurityFix]:
        """Return the security updates that are missing for packages that the layers of a tier last changed.

        Packages that a tier above replaced or removed do not count. If no package counts, no archive is asked.

        Args:
            below: The number of layers below those of the tier.
            count: The number of layers of the tier's image.
            is_wanted: Whether a package counts, by its name.

        Raises:
            NotComparedError: An archive does not answer or its signature was not checked, or packages cannot be read.
        """
        own = {
            package
            for package, layer in self._owners.items()
            if below <= layer < count and is_wanted(package.rpartition(":")[0])
        }
        files = FileSystem()
        for index in self._indexes[:count]:
            files.add(index)
        _refuse(_unknown_packages(files, self._indexes[below:count]))
        if not own:
            return []
        apt = Apt(AptFiles(self._indexes[:count], files), files.packages)
        unread: list[str] = []
        indexes = apt.indexes(self._archives, unread)
        _refuse(unread or list(_unusable([index for _, index in indexes])))
        upgrades = [each for each in apt.upgrades(indexes) if each.security and each.package in own]
        return [fix for upgrade in upgrades for fix in apt.fixes(upgrade, indexes)]


def _unknown_packages(files: FileSystem, own: Sequence[Index]) -> list[str]:
    managers = {package_databases.manager(path) for path in files.databases}
    reasons = [sentence for index in own for sentence in index.unread]
    reasons += [f"packages of {each} are not compared yet" for each in sorted(managers - {package_databases.DPKG})]
    return reasons if managers or reasons else ["its image has no package database"]


def _unusable(indexes: Sequence[PackageIndex]) -> Iterator[str]:
    yield from dict.fromkeys(
        f"{index.title} is not believed: its signature is {index.signature}"
        for index in indexes
        if index.signature != CHECKED
    )
    if not any(index.security for index in indexes):
        yield "the sources of its apt name no archive of security updates"


def _refuse(reasons: Sequence[str]) -> None:
    if reasons:
        raise NotComparedError("; ".join(reasons))
