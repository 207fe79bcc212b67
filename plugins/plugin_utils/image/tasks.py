# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which task put what into a layer.

The kernel notes when a file was last changed, whatever times the file itself was given; the task that ran then did it.
Nothing of this gets into the image, which would be another one on every run: it is remembered on the machine that built
the layer, by the layer's digest, in ``$XDG_STATE_HOME/tierwright/+layers``.
"""

from __future__ import annotations

import bisect
import contextlib
import json
import os
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from ..whole_file import write_whole
from .entry import Entry

#: Seconds after which a layer's tasks are forgotten: a year.
KEPT = 365 * 24 * 3600

#: No chain's folder: names of chains have no plus sign there.
_FOLDER = "tierwright/+layers"


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

    def at(self, entry: Entry) -> Task | None:
        """Say which task ran when a path was last changed; ``None`` where nobody knows."""
        if entry.changed is None:
            return None
        number = bisect.bisect_right(self._moments, entry.changed)
        return self._tasks[number - 1] if number else None


def remember(layer: str, entries: Iterable[Entry], timeline: Timeline) -> None:
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
    told = [[*astuple(task), sorted(its)] for task, its in paths.items()]
    folder = _folder()
    with contextlib.suppress(OSError):  # a build does not fail for what only explains it
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget(folder)
        write_whole(folder / layer.rpartition(":")[2], zlib.compress(json.dumps(told).encode()))


def recall(layer: str) -> Mapping[str, Task]:
    """Say which task put each path into a layer; nothing where this machine has not built it."""
    with contextlib.suppress(OSError, ValueError, TypeError, zlib.error):
        told: Sequence[tuple[str | None, str, str | None, list[str]]] = json.loads(
            zlib.decompress((_folder() / layer.rpartition(":")[2]).read_bytes())
        )
        return {path: Task(role, name, file) for role, name, file, paths in told for path in paths}
    return {}


def _forget(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # somebody else was quicker
            if time.time() - path.stat().st_mtime > KEPT:
                path.unlink()


def _folder() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state", _FOLDER).expanduser()
