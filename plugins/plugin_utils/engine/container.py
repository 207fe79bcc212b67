# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine says of a container, and of a file in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .times import nanoseconds

#: Names under which engines know the kernel's overlay file system, where they tell its folders.
_OVERLAY_DRIVERS = frozenset({"overlay", "overlay2"})

#: Go's ``fs.ModeSymlink``: engines tell a file's mode in Go's bits.
_GO_SYMLINK = 1 << 27


@dataclass(frozen=True, slots=True)
class OverlayFolders:
    """The folders that the kernel lays on each other for a container, on the engine's machine."""

    #: What the container wrote.
    upper: str
    #: What it was started from, the topmost first.
    lower: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """What the engine says of a container."""

    #: Its full ID.
    id: str
    #: ID of the image that it was made from.
    image: str
    labels: Mapping[str, str]
    running: bool
    #: Process ID of its first process on the engine's machine; 0 while nothing runs in it.
    pid: int
    #: When it was started, in nanoseconds since 1970; ``None`` where that is not told.
    started: int | None
    #: Paths in it over which something is mounted.
    mounts: tuple[str, ...]
    #: Where its files are; ``None`` where the engine keeps them otherwise, or does not tell.
    overlay: OverlayFolders | None


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What the engine says of something in a container."""

    #: Time of its last change, in nanoseconds since 1970; ``None`` where that is not told.
    changed: int | None
    #: Where it leads; ``None`` where it is no symbolic link.
    target: str | None


def read_container(found: Mapping[str, Any], image: str) -> ContainerInfo:
    """Read the answer to ``GET /containers/{id}/json``.

    Args:
        found: The answer.
        image: ID of the image that it was made from.
    """
    state = found["State"]
    return ContainerInfo(
        id=str(found["Id"]),
        image=image,
        labels=found["Config"].get("Labels") or {},
        running=bool(state.get("Running")),
        pid=int(state.get("Pid") or 0),
        started=nanoseconds(str(state.get("StartedAt") or "")),
        mounts=tuple(str(mount["Destination"]) for mount in found.get("Mounts") or ()),
        overlay=_overlay(found.get("GraphDriver") or {}),
    )


def read_file(found: Mapping[str, Any]) -> FileInfo:
    """Read the header of the answer to ``GET /containers/{id}/archive``."""
    link = int(found.get("mode") or 0) & _GO_SYMLINK
    return FileInfo(nanoseconds(str(found.get("mtime") or "")), str(found["linkTarget"]) if link else None)


def _overlay(driver: Mapping[str, Any]) -> OverlayFolders | None:
    folders = driver.get("Data") or {}
    if driver.get("Name") not in _OVERLAY_DRIVERS or not folders.get("UpperDir") or not folders.get("LowerDir"):
        return None
    return OverlayFolders(str(folders["UpperDir"]), tuple(str(folders["LowerDir"]).split(":")))
