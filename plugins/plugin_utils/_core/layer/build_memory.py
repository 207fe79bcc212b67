# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stores facts about a build on the machine that built it: the time, the task of each path, and the left-out paths.

These facts differ between two builds of the same inputs. In the image, they would change its ID. Therefore they are in
the folder ``$XDG_STATE_HOME/tierwright/+layers``, by the digest of the layer or the image, and are removed after one
year.

The task of a path is the one that ran at the path's last change, as the kernel recorded it. The times that a task sets
on a file do not matter.
"""

from __future__ import annotations

import bisect
import contextlib
import json
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import astuple

from .. import local_files
from ..local_files import write_atomically
from .file_entry import FileEntry, FileKind, printable_path

#: Lifetime of a stored fact in seconds: a year.
KEPT = 365 * 24 * 3600

#: This cannot be the folder of a chain, because the name of a chain does not begin with a plus sign.
_FOLDER = "+layers"


def remember(layer: str, kind: str, value: Any) -> None:
    """Store a fact about a layer. An error while writing is ignored, because a build must not fail for it.

    Args:
        layer: ``sha256:…`` of the uncompressed layer, or the image's ID.
        kind: The kind of fact; empty for the tasks.
        value: A value that JSON can represent.
    """
    folder = _folder()
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget(folder)
        write_atomically(folder / _name(layer, kind), zlib.compress(json.dumps(value).encode()))


def recall(layer: str, kind: str) -> Any:
    """Return a stored fact; ``None`` if it is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, zlib.error):
        return json.loads(zlib.decompress((_folder() / _name(layer, kind)).read_bytes()))
    return None


def _name(layer: str, kind: str) -> str:
    return ".".join(filter(None, (layer.rpartition(":")[2], kind)))


def _forget(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # a different process may have removed it
            if time.time() - path.stat().st_mtime > KEPT:
                path.unlink()


def _folder() -> Path:
    return local_files.state() / _FOLDER


#: The kind of fact.
_BUILT = "built"


def note_built(*identities: str) -> None:
    """Store the current time as the build time of images or layers, ``sha256:…``. It replaces an earlier time."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for identity in identities:
        remember(identity, _BUILT, now)


def built(identity: str) -> str | None:
    """Return the RFC 3339 time of the last build of an image or layer on this machine; ``None`` if there was none."""
    time_text = recall(identity, _BUILT)
    if isinstance(time_text, str):
        with contextlib.suppress(ValueError):
            datetime.fromisoformat(time_text)
            return time_text
    return None


#: The kind of fact.
_TASKS = ""


class Task(msgspec.Struct, frozen=True):
    """A task of a role."""

    #: ``null`` for a task that does not belong to a role.
    role: str | None
    #: The name as it is written, with its variables.
    name: str
    #: File and line, relative to the role's parent folder: ``corebuild/tasks/main.yml:12``; ``null`` for a task that
    #: does not belong to a role.
    file: str | None

    def __str__(self) -> str:
        """Return the task for messages: ``task 'Write the banner' (corebuild/tasks/banner.yml:2)``."""
        return f"task {self.name!r}" + (f" ({self.file})" if self.file else "")


class Timeline:
    """The tasks of one build, each with its start time."""

    def __init__(self, began: Iterable[tuple[int, Task]] = ()) -> None:
        """Take start times, in nanoseconds since 1970 and in ascending order, each with its task."""
        starts = list(began)
        self._moments, self._tasks = [moment for moment, _ in starts], [task for _, task in starts]

    def at(self, entry: FileEntry) -> Task | None:
        """Return the task that ran at the last change of a path; ``None`` if it is not known."""
        if entry.changed is None:
            return None
        number = bisect.bisect_right(self._moments, entry.changed)
        return self._tasks[number - 1] if number else None


def remember_tasks(layer: str, entries: Iterable[FileEntry], timeline: Timeline) -> None:
    """Store the tasks of a layer that was just sealed.

    Args:
        layer: ``sha256:…`` of the uncompressed layer.
        entries: The entries of the layer.
        timeline: The tasks of its build.
    """
    paths: dict[Task, list[str]] = {}
    for entry in entries:
        if task := timeline.at(entry):
            paths.setdefault(task, []).append(os.fsdecode(entry.path))
    if not paths:
        return
    remember(layer, _TASKS, [[*astuple(task), sorted(task_paths)] for task, task_paths in paths.items()])


def recall_tasks(layer: str) -> Mapping[str, Task]:
    """Return the task that made each path of a layer, by path; empty if this machine did not build the layer."""
    with contextlib.suppress(ValueError, TypeError):
        rows: Sequence[tuple[str | None, str, str | None, list[str]]] = recall(layer, _TASKS) or ()
        return {path: Task(role, name, file) for role, name, file, paths in rows for path in paths}
    return {}


_LEFT_OUT = "left-out"

#: Number of paths of one kind in a line.
_SHOWN = 3


class LeftOut(msgspec.Struct, frozen=True):
    """One path that was left out of a layer."""

    entry: FileEntry
    #: The reason: the kind of file.
    why: str
    #: What to do if the file is missed; empty for files that every build leaves behind.
    advice: str


def left_out_lines(
    left_out: Iterable[LeftOut], timeline: Timeline, referring: Mapping[bytes, bytes] | None = None
) -> Iterator[str]:
    """Yield lines about the paths that were left out: with names if there is advice for them, else their number.

    Args:
        left_out: The paths that were left out.
        timeline: The tasks of the build.
        referring: For paths that were left out, a path in the layer that refers to it.
    """
    referrers = referring or {}
    kinds: dict[tuple[str, str], list[FileEntry]] = {}
    for item in sorted(left_out, key=lambda item: item.entry.path):
        # Folders are not counted in addition to their content, unless a path refers to the folder.
        if item.entry.kind is not FileKind.DIRECTORY or item.entry.path in referrers:
            kinds.setdefault((item.why, item.advice), []).append(item.entry)
    for (why, advice), entries in kinds.items():
        if advice:
            # Paths to which the image refers come first.
            ordered = sorted(entries, key=lambda entry: entry.path not in referrers)
            yield f"left out: {_names(ordered, timeline, referrers)} ({why}); {advice}"
    usual = sum(len(entries) for (_why, advice), entries in kinds.items() if not advice)
    if usual:
        yield f"left out: {usual} {'files' if usual > 1 else 'file'} that any build leaves behind (docs/sealing.md)"


def remember_left_out(layer: str, lines: Sequence[str]) -> None:
    """Store the lines about the left-out paths of a layer that was just sealed."""
    if lines:
        remember(layer, _LEFT_OUT, list(lines))


def recall_left_out(layer: str) -> list[str]:
    """Return the lines about the left-out paths of a layer; empty if this machine did not build the layer."""
    lines = recall(layer, _LEFT_OUT)
    return [str(line) for line in lines] if isinstance(lines, list) else []


def _names(entries: Sequence[FileEntry], timeline: Timeline, referring: Mapping[bytes, bytes]) -> str:
    names = []
    for entry in entries[:_SHOWN]:
        task = timeline.at(entry)
        by = f" by {task}" if task and task.role else ""
        referrer = referring.get(entry.path)
        reference = f", to which /{printable_path(referrer)} refers" if referrer else ""
        names.append(f"/{printable_path(entry.path)}{by}{reference}")
    rest = len(entries) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")
