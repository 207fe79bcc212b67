# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds layers that claim packages which they did not install.

dpkg writes the list of a package's files (``info/NAME.list``) whenever it unpacks the package, and removes the list
when it purges the package. A layer that changes only the version in dpkg's database makes scanners believe that a fix
is there, or hides a package from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..layer_index.merged_files import LayerChange
from ..transports.image import PackageChange, Stack, package_changes

_STATUS = "var/lib/dpkg/status"
_INFO = "var/lib/dpkg/info/"


@dataclass(frozen=True, slots=True)
class PackageClaim:
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


def find_claims(stack: Stack) -> list[PackageClaim]:
    """Compare dpkg's database in each layer with the packages that the layer really unpacked or removed.

    Other package managers are not compared: the database of rpm has no file for each package.
    """
    claims: list[PackageClaim] = []
    before: dict[str, str] = {}
    for layer, index, changes, _merged in stack.merge_layers():
        if _STATUS not in index.databases:
            continue
        after = dict(index.databases[_STATUS])
        touched = _touched(changes)
        claims += [
            PackageClaim(layer.digest, layer.tier, change)
            for change in package_changes(before, after)
            if touched.isdisjoint(_lists(change))
        ]
        before = after
    return claims


def _touched(changes: list[LayerChange]) -> frozenset[str]:
    """Return the lists that a layer writes or removes, also those that it writes again without a change."""
    return frozenset(change.path for change in changes if change.path.startswith(_INFO))


def _lists(change: PackageChange) -> Iterator[str]:
    yield f"{_INFO}{change.name}.list"
    yield f"{_INFO}{change.name}:{change.architecture}.list"
