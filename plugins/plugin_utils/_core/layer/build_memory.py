# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this machine remembers of a build: tasks, left-out paths, times.

What this machine remembers of a layer or an image that it built, beside what the image says.

It would make another image of the same inputs, so it lies in ``$XDG_STATE_HOME/tierwright/+layers``, by the digest, and
is forgotten after a year.

When this machine built an image or a layer.

Nothing of that gets into the image, whose times are those of its sources: it would be another one after every build. It
is remembered on this machine (:mod:`.build_memory`).

Which task put what into a layer.

The kernel notes when a file was last changed, whatever times the file itself was given; the task that ran then did it.
Nothing of this gets into the image, which would be another one on every run: it is remembered on the machine that built
the layer (:mod:`.build_memory`).

What a build made and its layer does not hold, told in lines for people.

The lines do not get into the image: what a program leaves in ``/tmp`` has another name each time, and the same inputs
must give the same image. They are remembered on the machine that built the layer (:mod:`.build_memory`).
"""

from __future__ import annotations

import bisect
import contextlib
import json
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import local_files
from ..local_files import write_whole
from .file_entry import FileEntry, FileKind, shown

#: Seconds after which it is forgotten: a year.
KEPT = 365 * 24 * 3600

#: No chain's folder: names of chains have no plus sign there.
_FOLDER = "+layers"


def remember(layer: str, kind: str, value: Any) -> None:
    """Remember something of a layer. Where it cannot be written, it is not: a build does not fail for that.

    Args:
        layer: ``sha256:…`` of the uncompressed layer, or the image's ID.
        kind: What it is; empty for its tasks.
        value: What JSON can hold.
    """
    folder = _folder()
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget(folder)
        write_whole(folder / _name(layer, kind), zlib.compress(json.dumps(value).encode()))


def recall(layer: str, kind: str) -> Any:
    """Give what was remembered; ``None`` where nothing was, or where it is damaged."""
    with contextlib.suppress(OSError, ValueError, zlib.error):
        return json.loads(zlib.decompress((_folder() / _name(layer, kind)).read_bytes()))
    return None


def _name(layer: str, kind: str) -> str:
    return ".".join(filter(None, (layer.rpartition(":")[2], kind)))


def _forget(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # somebody else was quicker
            if time.time() - path.stat().st_mtime > KEPT:
                path.unlink()


def _folder() -> Path:
    return local_files.state() / _FOLDER


#: In :mod:`.build_memory`.
_BUILT = "built"


def note_built(*identities: str) -> None:
    """Remember that images or layers, ``sha256:…``, were built now; also where they were before."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for each in identities:
        remember(each, _BUILT, now)


def built(identity: str) -> str | None:
    """RFC 3339 time at which an image or a layer was built here the last time; ``None`` where it was not."""
    told = recall(identity, _BUILT)
    if isinstance(told, str):
        with contextlib.suppress(ValueError):
            datetime.fromisoformat(told)
            return told
    return None


#: In :mod:`.build_memory`.
_TASKS = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A task of a role."""

    #: ``null`` for a task that is no role's.
    role: str | None
    #: As it is written, variables in it included.
    name: str
    #: File and line, from the role's folder on: ``corebuild/tasks/main.yml:12``; ``null`` where it is no role's.
    file: str | None

    def __str__(self) -> str:
        """Name it for people: ``task 'Write the banner' (corebuild/tasks/banner.yml:2)``."""
        return f"task {self.name!r}" + (f" ({self.file})" if self.file else "")


class Timeline:
    """The tasks of one build, each from when it began."""

    def __init__(self, began: Iterable[tuple[int, Task]] = ()) -> None:
        """Take nanoseconds since 1970, rising, with the task that began then."""
        told = list(began)
        self._moments, self._tasks = [moment for moment, _ in told], [task for _, task in told]

    def at(self, entry: FileEntry) -> Task | None:
        """Say which task ran when a path was last changed; ``None`` where nobody knows."""
        if entry.changed is None:
            return None
        number = bisect.bisect_right(self._moments, entry.changed)
        return self._tasks[number - 1] if number else None


def remember_tasks(layer: str, entries: Iterable[FileEntry], timeline: Timeline) -> None:
    """Remember the tasks of a layer that was just sealed.

    Args:
        layer: ``sha256:…`` of the uncompressed layer.
        entries: What is in it.
        timeline: The tasks of its build.
    """
    paths: dict[Task, list[str]] = {}
    for entry in entries:
        if task := timeline.at(entry):
            paths.setdefault(task, []).append(os.fsdecode(entry.path))
    if not paths:
        return
    remember(layer, _TASKS, [[*astuple(task), sorted(its)] for task, its in paths.items()])


def recall_tasks(layer: str) -> Mapping[str, Task]:
    """Say which task put each path into a layer; nothing where this machine has not built it."""
    with contextlib.suppress(ValueError, TypeError):
        told: Sequence[tuple[str | None, str, str | None, list[str]]] = recall(layer, _TASKS) or ()
        return {path: Task(role, name, file) for role, name, file, paths in told for path in paths}
    return {}


_LEFT_OUT = "left-out"

#: Paths that are named of one kind.
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One path that a layer does not hold."""

    entry: FileEntry
    #: What it is.
    why: str
    #: What to do where it is missed; empty where any build leaves it behind.
    advice: str


def left_out_lines(
    left_out: Iterable[LeftOut], timeline: Timeline, referring: Mapping[bytes, bytes] | None = None
) -> Iterator[str]:
    """Tell what was left out: what somebody may miss by name, the rest by number.

    Args:
        left_out: All of it.
        timeline: The tasks of the build.
        referring: By a path that was left out, one in the layer that refers to it.
    """
    kinds: dict[tuple[str, str], list[FileEntry]] = {}
    for each in sorted(left_out, key=lambda each: each.entry.path):
        # A folder says nothing that what is in it does not, unless something refers to it.
        if each.entry.kind is not FileKind.DIRECTORY or each.entry.path in (referring or {}):
            kinds.setdefault((each.why, each.advice), []).append(each.entry)
    for (why, advice), entries in kinds.items():
        if advice:
            # What something in the image refers to is named first.
            ordered = sorted(entries, key=lambda entry: entry.path not in (referring or {}))
            yield f"left out: {_named(ordered, timeline, referring or {})} ({why}); {advice}"
    usual = sum(len(entries) for (_why, advice), entries in kinds.items() if not advice)
    if usual:
        yield f"left out: {usual} {'files' if usual > 1 else 'file'} that any build leaves behind (docs/sealing.md)"


def remember_left_out(layer: str, lines: Sequence[str]) -> None:
    """Remember the lines of a layer that was just sealed."""
    if lines:
        remember(layer, _LEFT_OUT, list(lines))


def recall_left_out(layer: str) -> list[str]:
    """Give the lines of a layer; none where this machine has not built it."""
    told = recall(layer, _LEFT_OUT)
    return [str(each) for each in told] if isinstance(told, list) else []


def _named(entries: Sequence[FileEntry], timeline: Timeline, referring: Mapping[bytes, bytes]) -> str:
    told = []
    for entry in entries[:_SHOWN]:
        task = timeline.at(entry)
        by = f" by {task}" if task and task.role else ""
        referrer = referring.get(entry.path)
        told.append(f"/{shown(entry.path)}{by}" + (f", to which /{shown(referrer)} refers" if referrer else ""))
    rest = len(entries) - len(told)
    return ", ".join(told) + (f" and {rest} more" if rest else "")
