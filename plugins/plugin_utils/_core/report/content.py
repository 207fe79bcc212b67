# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The content of images: layers, packages with their owners, folders, and files of lower tiers that a tier changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from ..layer_index.entries import FILE, Index
from ..layer_index.merged_files import ChangeKind, LayerChange
from ..layer_index.package_databases import is_database
from ..transports.image import LayerInfo, Stack
from ..views.layer_contents import LayerContent, content


class PackageOrigin(msgspec.Struct, frozen=True):
    """An installed package, and the layer that last changed it."""

    name: str
    architecture: str
    version: str
    #: Name of the layer that last changed it.
    owner: str


class Folder(msgspec.Struct, frozen=True):
    """A folder, and how many files and bytes a tier's own layers have in it."""

    path: str
    #: Number of files.
    files: int
    #: Bytes of these files.
    size: int


class TouchedFile(msgspec.Struct, frozen=True):
    """A file of a lower tier that a tier changes, writes again without a change, or removes."""

    path: str
    #: ``changed``, ``repeated`` or ``removed``.
    how: str
    #: Name of the layer that the file comes from.
    owner: str


class Content(msgspec.Struct, frozen=True):
    """The content of an image."""

    #: All layers of the image, the lowest first.
    layers: list[LayerContent]
    #: All installed packages, by name.
    packages: list[PackageOrigin]
    #: The largest folders of the tier's own layers, the largest first.
    folders: list[Folder]
    #: Files of lower tiers that the tier's own layers change, by path.
    touched: list[TouchedFile]


#: Limits for the folders and the touched files of a tier.
_FOLDERS, _TOUCHED = 8, 200
#: Number of parts of a path that are shown as a folder: ``usr/lib``.
_DEPTH = 2


class _LayerSummary(msgspec.Struct, frozen=True):
    """The content of a layer, and its effect on the layers below it."""

    content: LayerContent
    #: Installed packages up to this layer: name to version and number of the layer that last changed it.
    packages: dict[str, tuple[str, int]]
    #: Folder to its number of files and their bytes.
    folders: dict[str, tuple[int, int]]
    #: Path, :class:`.ChangeKind`, and number of the layer that the file comes from.
    touched: list[tuple[str, str, int]]


class Contents:
    """Computes the contents of images. Each layer is summarized once, even if several images share it."""

    def __init__(self) -> None:
        """Start without any layer."""
        self._summaries: dict[tuple[str, ...], _LayerSummary] = {}

    def of(self, stack: Stack, own: int) -> Content:
        """Return the content of an image.

        Args:
            stack: The image.
            own: Number of its own layers, which its parent does not have.
        """
        digests = stack.document.layers
        if digests not in self._summaries:
            self._summarize(stack)
        summaries = [self._summaries[digests[: number + 1]] for number in range(len(digests))]
        first_own = len(summaries) - own
        own_summaries = summaries[first_own:]
        return Content(
            layers=[summary.content for summary in summaries],
            packages=list(_packages(summaries[-1].packages if summaries else {}, stack.layers)),
            folders=_folders(own_summaries),
            touched=list(_touched(own_summaries, first_own, stack.layers)),
        )

    def _summarize(self, stack: Stack) -> None:
        before: dict[str, str] = {}
        owners: dict[str, tuple[str, int]] = {}
        for number, (layer, index, changes, so_far) in enumerate(stack.merge_layers()):
            after = so_far.packages
            owners = {
                package: owners[package] if before.get(package) == version else (version, number)
                for package, version in after.items()
            }
            key = stack.document.layers[: number + 1]
            if key not in self._summaries:
                layer_content = content(layer, index, changes, before, after)
                self._summaries[key] = _LayerSummary(
                    layer_content, owners, _folder_sizes(index), list(_touched_in_layer(changes))
                )
            before = after


def _folder_sizes(index: Index) -> dict[str, tuple[int, int]]:
    sizes: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for entry in index.entries:
        if entry.kind == FILE:
            folder = "/".join(entry.path.split("/")[:-1][:_DEPTH])
            files, size = sizes[folder]
            sizes[folder] = files + 1, size + entry.size
    return dict(sizes)


def _touched_in_layer(changes: Iterable[LayerChange]) -> Iterator[tuple[str, str, int]]:
    """Yield the touched files of lower layers, without package databases: the report shows those as packages."""
    for change in changes:
        before = change.before
        if change.kind != ChangeKind.ADDED and before and before.entry.kind == FILE and not is_database(change.path):
            yield change.path, change.kind.value, before.layer


def _packages(owners: dict[str, tuple[str, int]], layers: tuple[LayerInfo, ...]) -> Iterator[PackageOrigin]:
    for key, (version, number) in sorted(owners.items()):
        name, _, architecture = key.rpartition(":")
        yield PackageOrigin(name, architecture, version, layers[number].called)


def _folders(summaries: Iterable[_LayerSummary]) -> list[Folder]:
    totals: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for summary in summaries:
        for folder, (files, size) in summary.folders.items():
            totals[folder] = totals[folder][0] + files, totals[folder][1] + size
    folders = [Folder(path, files, size) for path, (files, size) in totals.items()]
    return sorted(folders, key=lambda folder: (-folder.size, folder.path))[:_FOLDERS]


def _touched(
    summaries: Iterable[_LayerSummary], first_own: int, layers: tuple[LayerInfo, ...]
) -> Iterator[TouchedFile]:
    """Yield the touched files that come from layers below the tier's first own layer."""
    touched = {
        path: (how, number) for summary in summaries for path, how, number in summary.touched if number < first_own
    }
    for path, (how, number) in sorted(touched.items())[:_TOUCHED]:
        yield TouchedFile(path, how, layers[number].called)
