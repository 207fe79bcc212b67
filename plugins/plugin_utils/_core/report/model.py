# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The content of a report, before it is rendered to pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..compatibility.variant_matrix import Changes, Matrix
from ..custody.custody_answer import TierCustody
from ..layer_index.entries import FILE, Index
from ..layer_index.merged_files import ChangeKind, LayerChange
from ..layer_index.package_databases import is_database
from ..packages.outdated_packages import Outdated
from ..state.status import Standing
from ..transports.image import LayerInfo, Stack
from ..views.layer_contents import LayerContent, content
from ..views.release_history import Release
from ..views.wasted_space import Waste
from ..watch.run_records import WatchRun

#: States of a tier that need attention, the worst first. The empty state means that the tier is up to date.
FAILED, NOT_REACHED, STALE, ABSENT = "failed", "not reached", "stale", "no image"
STATES = (FAILED, NOT_REACHED, ABSENT, STALE)


@dataclass(frozen=True, slots=True)
class PackageOrigin:
    """An installed package, and the layer that last changed it."""

    name: str
    architecture: str
    version: str
    #: Name of the layer that last changed it.
    owner: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder, and how many files and bytes a tier's own layers have in it."""

    path: str
    #: Number of files.
    files: int
    #: Bytes of these files.
    size: int


@dataclass(frozen=True, slots=True)
class TouchedFile:
    """A file of a lower tier that a tier changes, writes again without a change, or removes."""

    path: str
    #: ``changed``, ``repeated`` or ``removed``.
    how: str
    #: Name of the layer that the file comes from.
    owner: str


@dataclass(frozen=True, slots=True)
class Content:
    """The content of an image."""

    #: All layers of the image, the lowest first.
    layers: list[LayerContent]
    #: All installed packages, by name.
    packages: list[PackageOrigin]
    #: The largest folders of the tier's own layers, the largest first.
    folders: list[Folder]
    #: Files of lower tiers that the tier's own layers change, by path.
    touched: list[TouchedFile]


@dataclass(frozen=True, slots=True)
class ImageInUse:
    """An image that is in use."""

    id: str
    names: list[str]
    #: RFC 3339 ``created`` time of the image; for a tier, its source date.
    created: str | None
    #: RFC 3339 time at which it was built; ``None`` if it is not known.
    built: str | None
    #: Bytes of all layers.
    size: int | None
    #: Bytes of the layers that its nearest ancestor does not have.
    own: int | None
    #: Number of layers that its parent does not have.
    own_layers: int


@dataclass(slots=True)
class ReportTier:
    """A tier, or an image that does not belong to a tier; a node of the picture."""

    name: str
    #: Unique file name of its page, without the ending.
    slug: str
    team: str | None = None
    role: str | None = None
    #: The last commit that changed the role.
    revision: str | None = None
    #: Position of its parent in the list of all tiers; the parent comes first.
    parent: int | None = None
    #: The image in use; ``None`` if there is none.
    image: ImageInUse | None = None
    #: Its status after the last plan and run on this machine; ``None`` if there was no plan.
    status: Standing | None = None
    #: One of :data:`STATES`; empty if it is up to date.
    state: str = ""
    #: Why it is in that state.
    reasons: list[str] = field(default_factory=list)
    #: ``None`` if the image cannot be read.
    content: Content | None = None
    #: Oldest first.
    releases: list[Release] = field(default_factory=list)
    #: One sentence for each item that could not be read.
    unread: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReportCustody:
    """What a policy says about the tiers."""

    #: Path and version of the policy.
    policy: str
    version: int
    #: By the position of the tier. Tiers without an image are missing.
    tiers: dict[int, TierCustody]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a report shows."""

    #: Name of the chain; ``None`` for images that do not belong to a chain.
    chain: str | None
    #: Where the images are: ``the engine at unix:///var/run/docker.sock``.
    place: str
    #: RFC 3339 time.
    made: str
    #: Parents before children.
    tiers: list[ReportTier]
    #: Wasted space in all images that no other image in the report is based on.
    waste: Waste
    #: ``None`` if archives were not queried.
    outdated: Outdated | None
    #: The newest compatibility matrix; ``None`` if there is none.
    matrix: Matrix | None
    #: What changed since the matrix before; ``None`` if there is no matrix.
    changes: Changes | None
    #: One sentence for each part that the whole report lacks.
    missing: list[str]
    #: The newest runs that a watcher began for the chain and for sites, the newest first.
    runs: list[WatchRun] = field(default_factory=list)
    #: ``None`` if no policy was named.
    custody: ReportCustody | None = None


#: Limits for the folders and the touched files of a tier.
_FOLDERS, _TOUCHED = 8, 200
#: Number of parts of a path that are shown as a folder: ``usr/lib``.
_DEPTH = 2


@dataclass(frozen=True, slots=True)
class _LayerSummary:
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
