# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose a file or a package is: its whole story, oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import NotFoundError
from ..layer.build_memory import Task, recall_tasks
from ..layer_index.entries import FileState, differences, state
from ..layer_index.merged_files import ChangeKind
from ..transports.image import LayerInfo, PackageChange, Stack, package_changes


@dataclass(frozen=True, slots=True)
class Event:
    """What one layer did."""

    layer: LayerInfo
    #: ``added``, ``changed``, ``removed``, or ``repeated`` for a file that was written again as it was.
    event: str
    #: What changed of a file: ``type``, ``content``, ``target``, ``mode``, ``owner``.
    what: list[str]
    #: The file before and after; ``null`` for packages, and where there was or is none.
    before: FileState | None
    after: FileState | None
    #: The package's versions; ``null`` for files.
    package: PackageChange | None
    #: The task that ran when the layer got it; ``null`` where this machine has not built the layer.
    task: Task | None


@dataclass(frozen=True, slots=True)
class Blame:
    """The answer to ``tierwright blame``."""

    #: ID of the image.
    image: str
    names: list[str]
    #: ``path`` or ``package``.
    kind: str
    #: The package, or the path with the symbolic links among its parents followed.
    subject: str
    #: Whether the image has it.
    present: bool
    #: The layer that made it what it is; that removed it, where the image has it no more.
    owner: LayerInfo
    #: Oldest first.
    story: list[Event]


def blame(stack: Stack, subject: str) -> Blame:
    """Tell the story of a path, which has a slash in it, or of a package.

    Raises:
        NotFoundError: No layer of the image has or had it.
    """
    if "/" in subject:
        path = stack.whole().resolved(subject)
        kind, subject, story = "path", f"/{path}", list(_of_path(stack, path))
    else:
        kind, story = "package", list(_of_package(stack, subject))
    if not story:
        name = next(iter(stack.document.names), stack.document.id)
        advice = "" if kind == "path" else "; a path has a slash in it"
        raise NotFoundError(f"image {name} neither has nor had the {kind} {subject}{advice}")
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
    for layer, _index, changes, _so_far in stack.laid():
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
    for layer, _index, _changes, so_far in stack.laid():
        now = so_far.packages
        for change in package_changes(before, now):
            if name in {change.name, f"{change.name}:{change.architecture}"}:
                kind = (
                    ChangeKind.ADDED
                    if change.before is None
                    else ChangeKind.CHANGED
                    if change.after
                    else ChangeKind.REMOVED
                )
                yield Event(layer, kind.value, [], None, None, change, _installer(layer, change))
        before = now


def _installer(layer: LayerInfo, change: PackageChange) -> Task | None:
    """The task that ran when dpkg wrote down a package's files."""
    told = recall_tasks(layer.digest)
    names = (change.name, f"{change.name}:{change.architecture}")
    return next((task for name in names if (task := told.get(f"var/lib/dpkg/info/{name}.list"))), None)
