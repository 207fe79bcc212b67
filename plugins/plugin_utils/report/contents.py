# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in images, each layer read once however many images it is in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..inspect.answer import Layer
from ..inspect.databases import is_database
from ..inspect.entry import FILE, Index
from ..inspect.layers import LayerContent, content
from ..inspect.overlay import Change, Kind
from ..inspect.stack import Stack
from .facts import Content, Folder, Package, Touched

#: Folders and files of a layer that are told, at most.
_FOLDERS, _TOUCHED = 8, 200
#: Parts of a path that make a folder: ``usr/lib``.
_DEPTH = 2


@dataclass(frozen=True, slots=True)
class _Laid:
    """A layer upon those below it."""

    content: LayerContent
    #: Version and number of the layer that last changed it, by package.
    packages: dict[str, tuple[str, int]]
    folders: dict[str, tuple[int, int]]
    #: Path, what became of it, and number of the layer that it comes from.
    touched: list[tuple[str, str, int]]


class Contents:
    """What was read so far, by the digests of a layer and of all below it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._laid: dict[tuple[str, ...], _Laid] = {}

    def of(self, stack: Stack, own: int) -> Content:
        """Say what is in an image.

        Args:
            stack: The image.
            own: Number of its layers that are its own.
        """
        digests = stack.document.layers
        if digests not in self._laid:
            self._lay(stack)
        laid = [self._laid[digests[: number + 1]] for number in range(len(digests))]
        mine, below = laid[len(laid) - own :], len(laid) - own
        return Content(
            layers=[each.content for each in laid],
            packages=list(_packages(laid[-1].packages if laid else {}, stack.layers)),
            folders=_folders(mine),
            touched=list(_touched(mine, below, stack.layers)),
        )

    def _lay(self, stack: Stack) -> None:
        before: dict[str, str] = {}
        owners: dict[str, tuple[str, int]] = {}
        for number, (layer, index, changes, so_far) in enumerate(stack.laid()):
            now = so_far.packages
            owners = {
                package: owners[package] if before.get(package) == version else (version, number)
                for package, version in now.items()
            }
            key = stack.document.layers[: number + 1]
            if key not in self._laid:
                told = content(layer, index, changes, before, now)
                self._laid[key] = _Laid(told, owners, _sizes(index), list(_covers(changes)))
            before = now


def _sizes(index: Index) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for entry in index.entries:
        if entry.kind == FILE:
            folder = "/".join(entry.path.split("/")[:-1][:_DEPTH])
            files, size = found[folder]
            found[folder] = files + 1, size + entry.size
    return dict(found)


def _covers(changes: Iterable[Change]) -> Iterator[tuple[str, str, int]]:
    """Files of lower layers; what changes in a database of packages is told as packages."""
    for change in changes:
        before = change.before
        if change.kind != Kind.ADDED and before and before.entry.kind == FILE and not is_database(change.path):
            yield change.path, change.kind.value, before.layer


def _packages(owners: dict[str, tuple[str, int]], layers: tuple[Layer, ...]) -> Iterator[Package]:
    for key, (version, number) in sorted(owners.items()):
        name, _, architecture = key.rpartition(":")
        yield Package(name, architecture, version, layers[number].called)


def _folders(laid: Iterable[_Laid]) -> list[Folder]:
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for each in laid:
        for folder, (files, size) in each.folders.items():
            found[folder] = found[folder][0] + files, found[folder][1] + size
    told = [Folder(path, files, size) for path, (files, size) in found.items()]
    return sorted(told, key=lambda each: (-each.size, each.path))[:_FOLDERS]


def _touched(laid: Iterable[_Laid], below: int, layers: tuple[Layer, ...]) -> Iterator[Touched]:
    found = {path: (how, number) for each in laid for path, how, number in each.touched if number < below}
    for path, (how, number) in sorted(found.items())[:_TOUCHED]:
        yield Touched(path, how, layers[number].called)
