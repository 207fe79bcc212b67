# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the changes of a build container in the fastest way that reliably shows what the container sees.

If the engine is on this machine and its storage is readable, the directories of the overlay are read. Otherwise two
exports through the engine's API are compared: of the container, and of the image that it was started from. Both ways
give the same layer, except for access control lists, which the exports of Docker and Podman do not contain.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from msgspec.structs import replace

from .. import stopwatch
from ..engine.container_files import Reading, freeze_for_reading
from ..engine.engine import Engine
from ..engine.inspection import ContainerInfo
from . import mounts, overlay_changes, root_tar
from .file_entry import FileEntry, KnownTree, Origin, PathChange
from .overlay_changes import IDENTITY_MAP, NotReadableError, Overlay

#: Index of the mount point in the fields of ``/proc/<pid>/mountinfo`` (``proc(5)``).
_MOUNT_POINT = 4


class ContainerChanges(msgspec.Struct, frozen=True):
    """The changes in a build container."""

    changes: list[PathChange]
    #: The tree that the container was started from. It can be read as long as the changes can.
    origin: Origin
    #: Written entries that no image can hold; see :mod:`.mounts`.
    mounted: list[FileEntry]
    #: Makes the context in which the content of the changes must be read. Single files may be read without it.
    reading: Reading


@contextmanager
def read(engine: Engine, container: str) -> Iterator[ContainerChanges]:
    """Pause a container, read the changes in it since its creation, and end it.

    Args:
        engine: The engine.
        container: ID of the container. It may have ended, but its directories are only trusted if it runs now.

    Yields:
        The changes. Their content can be read until the ``with`` statement ends; then the container has ended.

    Raises:
        EngineError: The engine rejected a request.
    """
    with stopwatch.measured("look at the container"):
        info = engine.containers.inspect(container)
        overlay = _verified_overlay(info) if overlay_changes.sees_all_attributes() else None
        root = Path("/proc", str(info.pid), "root") if overlay else None
        mounted = mounts.find_writes(engine, info, root) if info.running else []
    # The content of a file that is still being written cannot be sealed.
    with freeze_for_reading(engine.containers, container) as reading, ExitStack() as stack:
        with stopwatch.measured("list the changes"):
            changes = _read_overlay(overlay) if overlay else None
            origin: Origin
            if overlay and changes is not None:
                origin = overlay_changes.Lower(overlay)
            else:
                before = _read_origin(engine, info)
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tierwright-"))
                changes = _compare_exports(engine, container, before, Path(folder, "content"))
                origin = KnownTree(before)
        yield ContainerChanges(_without_mount_points(changes, info), origin, mounted, reading)


def _read_overlay(overlay: Overlay) -> list[PathChange] | None:
    try:
        return list(overlay_changes.changes(overlay))
    except NotReadableError:
        return None  # the caller compares exports instead


def _without_mount_points(changes: Iterable[PathChange], container: ContainerInfo) -> list[PathChange]:
    """Remove the mount points that the engine created: the build saw the mounts, and not these files."""
    mounted = {os.fsencode(mount.strip("/")) for mount in container.mounts}
    return [
        change
        for change in changes
        if change.before is not None or change.now is None or change.now.path not in mounted
    ]


def _verified_overlay(container: ContainerInfo) -> Overlay | None:
    """Find the container's directories on this machine; ``None`` if it cannot be proven that they belong to it.

    An engine behind a local socket may run on a different machine that has the same paths. If it runs on this machine,
    the process with the container's ID is in a control group named after the container, and has this directory as its
    root. The mount options show which attributes the kernel evaluates.
    """
    process = Path("/proc", str(container.pid or "none"))
    try:
        if container.id not in (process / "cgroup").read_text():
            return None
        mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
        uid_map = (process / "uid_map").read_text().split()
    except OSError:
        return None
    options = next((fields[-1].split(",") for fields in mounts if fields[_MOUNT_POINT] == "/"), [])
    values = dict(option.partition("=")[::2] for option in options)
    folders = container.overlay
    if folders is None:  # the engine does not report the directories, but the kernel does
        overlay = _overlay_from_mount(process, values)
    else:
        # The kernel may show paths relative to the engine's working folder at the time of the mount. The last two
        # names are enough for a comparison, because the second-last name is random.
        last = "/".join(folders.upper.split("/")[-2:])
        is_same = f"/{values.get('upperdir', '')}".endswith(f"/{last}")
        overlay = Overlay(os.fsencode(folders.upper), tuple(map(os.fsencode, folders.lower))) if is_same else None
    if overlay is None or uid_map != IDENTITY_MAP:
        return None
    return replace(overlay, marks=overlay_changes.USER if "userxattr" in options else overlay_changes.TRUSTED)


def _overlay_from_mount(process: Path, options: Mapping[str, str]) -> Overlay | None:
    """Read the directories of a process's root from its mount options; ``None`` if the process sees other ones.

    containerd numbers its directories, so a different containerd may have used the same paths. The root of an overlay
    has the inode number and the times of its upper directory (``ino`` and ``attr`` in the kernel's ``overlayfs.rst``).
    """
    upper, lowers = options.get("upperdir", ""), options.get("lowerdir", "").split(":")
    if not all(path.startswith("/") for path in (upper, *lowers)) or any("\\" in path for path in (upper, *lowers)):
        return None
    try:
        root_status, upper_status = (process / "root").stat(), Path(upper).stat()
    except OSError:
        return None
    is_same = all(
        getattr(root_status, name) == getattr(upper_status, name) for name in ("st_ino", "st_ctime_ns", "st_mtime_ns")
    )
    return Overlay(os.fsencode(upper), tuple(map(os.fsencode, lowers))) if is_same else None


def _read_origin(engine: Engine, container: ContainerInfo) -> dict[bytes, FileEntry]:
    """Return all entries that a container was started from, by path."""
    with engine.files.started_from(container) as archive:
        return {entry.path: entry for entry in root_tar.tree(archive)}


def _compare_exports(
    engine: Engine, container: str, before: Mapping[bytes, FileEntry], spool: Path
) -> list[PathChange]:
    with engine.files.exported(container) as archive:
        return list(root_tar.compare(before, archive, spool))
