# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A build container's changes, read in the fastest way that is sure to give what the container sees.

Where the engine is on this machine and its storage may be read, that is the overlay's own directories; anywhere else,
two exports through the engine's API are compared, of the container and of what it was started from. Both give the same
layer, but for access control lists: Docker's and Podman's exports leave those out.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..engine.container_files import Reading, standstill
from ..engine.engine import Engine
from ..engine.inspection import ContainerInfo
from . import mounts, overlay_changes, root_tar
from .file_entry import FileEntry, KnownTree, Origin, PathChange
from .overlay_changes import ALL_NUMBERS, NotReadableError, Overlay

#: Index of the place in the fields of ``/proc/<pid>/mountinfo`` (``proc(5)``).
_MOUNT_POINT = 4


@dataclass(frozen=True, slots=True)
class Found:
    """What was changed in a container."""

    changes: list[PathChange]
    #: What the container was started from. It can be read as long as the changes can.
    origin: Origin
    #: What was written where no image can hold it: see :mod:`.mounts`.
    mounted: list[FileEntry]
    #: Makes what each reading of their content is done within, but for that of single files.
    reading: Reading


@contextmanager
def read(engine: Engine, container: str) -> Iterator[Found]:
    """Let a container stand still, read what was changed in it since it was made, and end it.

    Args:
        engine: The engine.
        container: ID of the container. It may have ended, but its directories are only trusted if it runs now.

    Yields:
        The changes. Their content can be read until the ``with`` statement ends; then the container has ended.

    Raises:
        EngineError: The engine refused.
    """
    info = engine.containers.inspect(container)
    proven = _proven(info) if overlay_changes.sees_all_attributes() else None
    root = Path("/proc", str(info.pid), "root") if proven else None
    written = mounts.written(engine, info, root) if info.running else []
    # What is still being written has no content that could be sealed.
    with standstill(engine.containers, container) as reading, ExitStack() as stack:
        found = _in_overlay(proven) if proven else None
        origin: Origin
        if proven and found is not None:
            origin = overlay_changes.Lower(proven)
        else:
            before = _before(engine, info)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tierwright-"))
            found, origin = _in_exports(engine, container, before, Path(folder, "content")), KnownTree(before)
        yield Found(_without_mount_points(found, info), origin, written, reading)


def _in_overlay(here: Overlay) -> list[PathChange] | None:
    try:
        return list(overlay_changes.changes(here))
    except NotReadableError:
        return None  # exports hold it, too


def _without_mount_points(changes: Iterable[PathChange], container: ContainerInfo) -> list[PathChange]:
    """Leave out what the engine made to mount something over; the build never saw it."""
    mounted = {os.fsencode(mount.strip("/")) for mount in container.mounts}
    return [each for each in changes if each.before is not None or each.now is None or each.now.path not in mounted]


def _proven(container: ContainerInfo) -> Overlay | None:
    """Find the container's directories on this machine, and prove that they are its; ``None`` where they are not.

    An engine behind a local socket may be another machine's, which has the same paths. Where it is not, the process
    that it tells of is here, is in a group named after the container, and sees that very directory as its root. How it
    is mounted says which attributes the kernel heeds.
    """
    process = Path("/proc", str(container.pid or "none"))
    try:
        if container.id not in (process / "cgroup").read_text():
            return None
        mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
        numbers = (process / "uid_map").read_text().split()
    except OSError:
        return None
    options = next((fields[-1].split(",") for fields in mounts if fields[_MOUNT_POINT] == "/"), [])
    named = dict(option.partition("=")[::2] for option in options)
    folders = container.overlay
    if folders is None:  # the engine does not tell; the kernel does
        here = _mounted(process, named)
    else:
        # The kernel may name directories from where the engine stood when it mounted them; the name before the last
        # is random.
        last = "/".join(folders.upper.split("/")[-2:])
        is_same = f"/{named.get('upperdir', '')}".endswith(f"/{last}")
        here = Overlay(os.fsencode(folders.upper), tuple(map(os.fsencode, folders.lower))) if is_same else None
    if here is None or numbers != ALL_NUMBERS:
        return None
    return replace(here, marks=overlay_changes.USER if "userxattr" in options else overlay_changes.TRUSTED)


def _mounted(process: Path, options: Mapping[str, str]) -> Overlay | None:
    """Read the directories of a process's root from how it is mounted; ``None`` where they are not what it sees.

    containerd numbers its directories, and another one's on this machine may have the same paths. The root that is
    seen has number and times of its upper directory (``ino`` and ``attr`` in the kernel's ``overlayfs.rst``).
    """
    upper, lowers = options.get("upperdir", ""), options.get("lowerdir", "").split(":")
    if not all(each.startswith("/") for each in (upper, *lowers)) or any("\\" in each for each in (upper, *lowers)):
        return None
    try:
        seen, there = (process / "root").stat(), Path(upper).stat()
    except OSError:
        return None
    same = all(getattr(seen, name) == getattr(there, name) for name in ("st_ino", "st_ctime_ns", "st_mtime_ns"))
    return Overlay(os.fsencode(upper), tuple(map(os.fsencode, lowers))) if same else None


def _before(engine: Engine, container: ContainerInfo) -> dict[bytes, FileEntry]:
    """All that a container was started from, by path."""
    with engine.files.started_from(container) as archive:
        return {entry.path: entry for entry in root_tar.tree(archive)}


def _in_exports(engine: Engine, container: str, before: Mapping[bytes, FileEntry], spool: Path) -> list[PathChange]:
    with engine.files.exported(container) as archive:
        return list(root_tar.compared(before, archive, spool))
