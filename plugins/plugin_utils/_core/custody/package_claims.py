# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds layers that claim packages which they did not install.

dpkg writes the list of a package's files (``info/NAME.list``) whenever it unpacks the package, and removes the list
when it purges the package. A layer that changes only the version in dpkg's database makes scanners believe that a fix
is there, or hides a package from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from ..layer_index.entries import Index
from ..layer_index.merged_files import LayerChange
from ..transports.image import LayerInfo, PackageChange, package_changes

_STATUS = "var/lib/dpkg/status"
_INFO = "var/lib/dpkg/info/"


class PackageClaim(msgspec.Struct, frozen=True):
    """A change of dpkg's database without the change of the package."""

    #: Digest of the layer.
    layer: str
    #: The tier of the layer; ``None`` if the image does not name it.
    tier: str | None
    change: PackageChange

    def __str__(self) -> str:
        """Return the claim for messages."""
        name, before, after = self.change.name, self.change.before, self.change.after
        if before is None:
            return f"dpkg's database says that {name} {after} is installed, but the layer does not have its files"
        if after is None:
            return f"dpkg's database does not list {name} {before} any more, but its files are still there"
        return f"dpkg's database says {name} {after} instead of {before}, but the layer does not have its files"


def find_claims(
    layer: LayerInfo, index: Index, changes: list[LayerChange], before: Mapping[str, str]
) -> list[PackageClaim]:
    """Compare dpkg's database in a layer with the packages that the layer really unpacked or removed.

    Other package managers are not compared: the database of rpm has no file for each package.

    Args:
        layer: The layer.
        index: Its content.
        changes: What it changes in the layers below it.
        before: Versions by ``name:architecture`` in dpkg's database below it; see :func:`dpkg_packages`.
    """
    after = dpkg_packages(index)
    if after is None:
        return []
    touched = _touched(changes)
    return [
        PackageClaim(layer.digest, layer.tier, change)
        for change in package_changes(dict(before), after)
        if touched.isdisjoint(_lists(change))
    ]


def dpkg_packages(index: Index) -> dict[str, str] | None:
    """Return the versions of dpkg's database in a layer; ``None`` if the layer does not contain it."""
    return dict(index.databases[_STATUS]) if _STATUS in index.databases else None


def _touched(changes: list[LayerChange]) -> frozenset[str]:
    """Return the lists that a layer writes or removes, also those that it writes again without a change."""
    return frozenset(change.path for change in changes if change.path.startswith(_INFO))


def _lists(change: PackageChange) -> Iterator[str]:
    yield f"{_INFO}{change.name}.list"
    yield f"{_INFO}{change.name}:{change.architecture}.list"
