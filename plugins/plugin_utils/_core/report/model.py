# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a report says, before it has a form.

What a report says, before it has a form.

What is in images, each layer read once however many images it is in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..compatibility.variant_matrix import Changes, Matrix
from ..layer_index.entries import FILE, Index
from ..layer_index.merged_files import ChangeKind, LayerChange
from ..layer_index.package_databases import is_database
from ..packages.outdated_packages import Outdated
from ..state.status import Standing
from ..transports.image import LayerInfo, Stack
from ..views.layer_contents import LayerContent, content
from ..views.release_history import Release
from ..views.wasted_space import Waste

#: States of a tier that somebody has to look at, the worst first. Every other one is fine.
FAILED, NOT_REACHED, STALE, ABSENT = "failed", "not reached", "stale", "no image"
STATES = (FAILED, NOT_REACHED, ABSENT, STALE)


@dataclass(frozen=True, slots=True)
class PackageOrigin:
    """An installed package, and what last changed it."""

    name: str
    architecture: str
    version: str
    #: What the layer that last changed it is called.
    owner: str


@dataclass(frozen=True, slots=True)
class Folder:
    """How much of a tier's own layers lies in a folder."""

    path: str
    files: int
    #: Bytes.
    size: int


@dataclass(frozen=True, slots=True)
class Touched:
    """A file of a lower tier that a tier changes, writes again, or removes."""

    path: str
    #: ``changed``, ``repeated`` or ``removed``.
    how: str
    #: What the layer that it comes from is called.
    owner: str


@dataclass(frozen=True, slots=True)
class Content:
    """What is in an image."""

    #: Of the whole image, the lowest first.
    layers: list[LayerContent]
    #: All that are installed, by name.
    packages: list[PackageOrigin]
    #: Of its own layers, the largest first.
    folders: list[Folder]
    #: By path.
    touched: list[Touched]


@dataclass(frozen=True, slots=True)
class ImageInUse:
    """An image that is in use."""

    id: str
    names: list[str]
    #: RFC 3339 times: of its sources, as the image says, and when it was built, where that is known.
    created: str | None
    built: str | None
    #: Bytes of all layers, and of what its parent has not.
    size: int | None
    own: int | None
    #: Number of layers that its parent has not.
    own_layers: int


@dataclass(slots=True)
class ReportTier:
    """A tier, or an image that is none; a node of the picture."""

    name: str
    #: What its page is called, unlike any other's.
    slug: str
    team: str | None = None
    role: str | None = None
    revision: str | None = None
    #: Position of what it stands on in the list of all, which comes before it.
    parent: int | None = None
    #: What is in use; ``None`` where there is none yet.
    image: ImageInUse | None = None
    #: How it stands, where a plan or a run here has noted it.
    standing: Standing | None = None
    #: One of :data:`STATES`, or empty where it is as it should be.
    state: str = ""
    #: Why it is in that state.
    reasons: list[str] = field(default_factory=list)
    #: ``None`` where it cannot be read.
    content: Content | None = None
    #: Oldest first.
    releases: list[Release] = field(default_factory=list)
    #: Sentences about what cannot be read.
    unread: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a report says."""

    #: Name of the chain; ``None`` for images that belong to none.
    chain: str | None
    #: Where the images are: ``the engine at unix:///var/run/docker.sock``.
    place: str
    #: RFC 3339 time.
    made: str
    #: Parents before children.
    tiers: list[ReportTier]
    #: Of what nothing else stands on, together.
    waste: Waste
    #: ``None`` where archives were not asked.
    outdated: Outdated | None
    #: The newest compatibility matrix and what changed since the one before; ``None`` where there is none.
    matrix: Matrix | None
    changes: Changes | None
    #: Sentences about what the whole report lacks.
    missing: list[str]


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


def _covers(changes: Iterable[LayerChange]) -> Iterator[tuple[str, str, int]]:
    """Files of lower layers; what changes in a database of packages is told as packages."""
    for change in changes:
        before = change.before
        if change.kind != ChangeKind.ADDED and before and before.entry.kind == FILE and not is_database(change.path):
            yield change.path, change.kind.value, before.layer


def _packages(owners: dict[str, tuple[str, int]], layers: tuple[LayerInfo, ...]) -> Iterator[PackageOrigin]:
    for key, (version, number) in sorted(owners.items()):
        name, _, architecture = key.rpartition(":")
        yield PackageOrigin(name, architecture, version, layers[number].called)


def _folders(laid: Iterable[_Laid]) -> list[Folder]:
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for each in laid:
        for folder, (files, size) in each.folders.items():
            found[folder] = found[folder][0] + files, found[folder][1] + size
    told = [Folder(path, files, size) for path, (files, size) in found.items()]
    return sorted(told, key=lambda each: (-each.size, each.path))[:_FOLDERS]


def _touched(laid: Iterable[_Laid], below: int, layers: tuple[LayerInfo, ...]) -> Iterator[Touched]:
    found = {path: (how, number) for each in laid for path, how, number in each.touched if number < below}
    for path, (how, number) in sorted(found.items())[:_TOUCHED]:
        yield Touched(path, how, layers[number].called)
