# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The owner of a file or package, with everything that layers did to it, oldest first."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..errors import NotFoundError
from ..layer.build_memory import Task, recall_tasks
from ..layer_index.entries import FileState, differences, state
from ..layer_index.merged_files import ChangeKind
from ..transports.image import LayerInfo, PackageChange, Stack, package_changes


class Event(msgspec.Struct, frozen=True):
    """What one layer did to the file or package."""

    layer: LayerInfo
    #: ``added``, ``changed``, ``removed``, or ``repeated`` for a file that was written again without a change.
    event: str
    #: What changed in a file: ``type``, ``content``, ``target``, ``mode``, ``owner``.
    what: list[str]
    #: The file before and after; ``null`` for packages, and if the file did not exist.
    before: FileState | None
    after: FileState | None
    #: Versions of the package; ``null`` for files.
    package: PackageChange | None
    #: The task that made the change; ``null`` if it is not known, for example because another machine built the layer.
    task: Task | None


class Blame(msgspec.Struct, frozen=True):
    """The answer to ``tierwright blame``."""

    #: ID of the image.
    image: str
    names: list[str]
    #: ``path`` or ``package``.
    kind: str
    #: The package, or the path with the symbolic links among its parents resolved.
    subject: str
    #: Whether the image contains it.
    present: bool
    #: The layer that last added, changed or removed it.
    owner: LayerInfo
    #: Oldest first.
    story: list[Event]


def blame(stack: Stack, subject: str) -> Blame:
    """List what the layers of an image did to a path or a package, and determine the owner.

    Args:
        stack: The image.
        subject: A path, if it contains a slash; otherwise the name of a package, with or without ``:architecture``.

    Raises:
        NotFoundError: No layer of the image contains it.
    """
    if "/" in subject:
        path = stack.file_system().resolved(subject)
        kind, subject, story = "path", f"/{path}", list(_of_path(stack, path))
    else:
        kind, story = "package", list(_of_package(stack, subject))
    if not story:
        name = next(iter(stack.document.names), stack.document.id)
        advice = "" if kind == "path" else "; if you mean a path, write it with a slash"
        raise NotFoundError(f"no layer of image {name} contains the {kind} {subject}{advice}")
    decisive = [event for event in story if event.event != ChangeKind.REPEATED]
    return Blame(
        image=stack.document.id,
        names=list(stack.document.names),
        kind=kind,
        subject=subject,
        present=decisive[-1].event != ChangeKind.REMOVED,
        owner=decisive[-1].layer,
        story=story,
    )


def _of_path(stack: Stack, path: str) -> Iterator[Event]:
    for layer, _index, changes, _so_far in stack.merge_layers():
        for change in changes:
            if change.path == path:
                before, after = change.before and change.before.entry, change.after
                yield Event(
                    layer=layer,
                    event=change.kind.value,
                    what=differences(before, after) if before and after else [],
                    before=state(before) if before else None,
                    after=state(after) if after else None,
                    package=None,
                    task=recall_tasks(layer.digest).get(path) if after else None,
                )


def _of_package(stack: Stack, name: str) -> Iterator[Event]:
    before: dict[str, str] = {}
    for layer, _index, _changes, so_far in stack.merge_layers():
        after = so_far.packages
        for change in package_changes(before, after):
            if name in {change.name, f"{change.name}:{change.architecture}"}:
                kind = (
                    ChangeKind.ADDED
                    if change.before is None
                    else ChangeKind.CHANGED
                    if change.after
                    else ChangeKind.REMOVED
                )
                yield Event(layer, kind.value, [], None, None, change, _installing_task(layer, change))
        before = after


def _installing_task(layer: LayerInfo, change: PackageChange) -> Task | None:
    """Return the task that ran when dpkg wrote the package's list of files."""
    tasks = recall_tasks(layer.digest)
    names = (change.name, f"{change.name}:{change.architecture}")
    return next((task for name in names if (task := tasks.get(f"var/lib/dpkg/info/{name}.list"))), None)
