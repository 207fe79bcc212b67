# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds writes of a role that no image can hold: under the engine's mounts and under inherited volumes.

An engine mounts its own ``/etc/hosts``, ``/etc/hostname`` and ``/etc/resolv.conf`` into each container, writes them
before anything runs in it, and creates a new ``/dev``. A later change time shows that the role wrote there. The
downloads of package managers are on volumes while a tier is built, so a tier cannot keep them.

A container of the image has a volume at each ``VOLUME`` path. The volume hides the content that a layer has there,
except once, when a new volume is filled from it. `docker commit` and Dockerfiles drop such content silently. Here it is
an error, unless the tier sets the volumes of its image itself.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..engine.containers import START_MARKER
from ..engine.engine import Engine
from ..engine.inspection import ContainerInfo, Image
from ..engine.streams import Output
from ..errors import SealError
from ..image import labels
from .build_memory import Timeline
from .cleaner import Cleaner
from .file_entry import FileEntry, FileKind, printable_path
from .paths import Links
from .residue import Rule, Treatment

#: Files that the engine mounts into every container.
FILES = (b"etc/hosts", b"etc/hostname", b"etc/resolv.conf")

#: The folder with the devices of a container, and the names that engines create in it.
_DEVICES = b"dev"
_ENGINE_DEVICES = frozenset(
    b"console core fd full fuse mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
)
_SHARED_MEMORY = b"dev/shm"
#: Prefix of the names that Tierwright itself uses there.
_OWN_PREFIX = b"tierwright"

_ADVICE = (
    "set it for containers where they are started (docker run --add-host, --hostname and --dns; extra_hosts, "
    "hostAliases)"
)
_MOUNTED = Rule(Treatment.DROP, "every container has its own", (), _ADVICE)
_IN_MEMORY = Rule(Treatment.DROP, "every container gets a new /dev", (), "create it when a container starts")


def find_writes(engine: Engine, container: ContainerInfo, root: Path | None) -> list[FileEntry]:
    """List the entries of a running container that no image can hold.

    Args:
        engine: The engine.
        container: The engine's information about the container.
        root: The container's root on this machine; ``None`` if the container runs on a different machine. Then its
            ``/dev`` cannot be read.

    Returns:
        The changed files among :data:`FILES` and the additional names in ``/dev`` as files, the mount points of volumes
        as directories. Empty if the container has not been started.

    Raises:
        EngineError: The engine does not answer.
    """
    started = container.started
    if started is None:
        return []
    times = _times_in_root(root) if root else _times_from_engine(engine, container.id)
    later = {path: changed for path, changed in times if changed > started}
    if later:
        by_build = _changed_by_build_in_root(root, later) if root else _changed_by_build(engine, container.id, later)
        later = {path: changed for path, changed in later.items() if path in by_build}
    files = [_entry(path, changed) for path, changed in later.items()]
    return [*files, *_volumes(container), *(_devices(root) if root else ())]


def check_mounts(entries: Iterable[FileEntry], cleaner: Cleaner, timeline: Timeline) -> None:
    """Reject changes to files that the engine mounts, unless the tier leaves them out; report new names in ``/dev``.

    Args:
        entries: The result of :func:`find_writes`.
        cleaner: Knows what the tier leaves out; the entries that are left out are added to it.
        timeline: The tasks of the build.

    Raises:
        SealError: The role changed such a file, or ``tier_keep`` names a volume of the build. The message names the
            paths and, if they are known, the tasks.
    """
    lost = []
    for entry in entries:
        if entry.kind is FileKind.DIRECTORY:
            if cleaner.keeps_inside(entry.path):
                raise SealError(
                    f"tier_keep names /{printable_path(entry.path)} or a path in it, but while a tier is built, this "
                    "is a volume that is removed with the build container; remove it from tier_keep, and let the role "
                    "put the files that the image needs elsewhere"
                )
        elif entry.path not in FILES:
            cleaner.leave_out(entry, _IN_MEMORY)
        elif cleaner.rule(entry.path):
            cleaner.leave_out(entry, _MOUNTED)
        else:
            lost.append(entry)
    if lost:
        paths = ", ".join(f"/{printable_path(entry.path)}{_by(entry, timeline)}" for entry in lost)
        drop = ", ".join(printable_path(entry.path) for entry in lost)
        raise SealError(
            f"its role changed {paths}, which no image can hold: the engine mounts its own file there in every "
            f"container. Do not change it in the role, and {_ADVICE}; or accept that the change is lost: tier_drop: "
            f"[{drop}]"
        )


def _by(entry: FileEntry, timeline: Timeline) -> str:
    task = timeline.at(entry)
    return f" by {task}" if task and task.role else ""


def _times_in_root(root: Path) -> Iterator[tuple[bytes, int]]:
    for path in FILES:
        try:
            status = os.lstat(os.fsencode(root) + b"/" + path)
        except OSError:
            continue
        yield path, status.st_mtime_ns


def _times_from_engine(engine: Engine, container: str) -> Iterator[tuple[bytes, int]]:
    for path in FILES:
        info = engine.files.info(container, f"/{printable_path(path)}")
        if info is not None and info.changed is not None:
            yield path, info.changed


def _changed_by_build_in_root(root: Path, later: Mapping[bytes, int]) -> Collection[bytes]:
    """Return the files that were changed after the first process of the container had begun."""
    try:
        begun = (root / START_MARKER.lstrip("/")).stat().st_mtime_ns
    except OSError:
        return later
    return [path for path, changed in later.items() if changed > begun]


def _changed_by_build(engine: Engine, container: str, later: Mapping[bytes, int]) -> Collection[bytes]:
    """Do the same with a command in the container, because the engine cannot read files of its ``tmpfs``."""
    paths = [f"/{printable_path(path)}" for path in later]
    script = 'for path; do [ "$path" -nt ' + START_MARKER + ' ] && echo "$path"; done; :'
    output = Output()
    if engine.exec.run(container, ["/bin/sh", "-c", script, "sh", *paths], take=output.take, user="0:0") != 0:
        return later
    return [line.lstrip(b"/") for line in bytes(output.stdout).splitlines()]


def _volumes(container: ContainerInfo) -> Iterator[FileEntry]:
    for mount in container.mounts:
        path = os.fsencode(mount.strip("/"))
        if not path.startswith(_DEVICES + b"/"):
            yield FileEntry(path, FileKind.DIRECTORY, 0, 0, 0, mtime=0)


def _devices(root: Path) -> Iterator[FileEntry]:
    for folder, expected in ((_DEVICES, _ENGINE_DEVICES), (_SHARED_MEMORY, frozenset[bytes]())):
        try:
            with os.scandir(os.fsencode(root) + b"/" + folder) as items:
                others = [item for item in items if item.name not in expected and not item.name.startswith(_OWN_PREFIX)]
                yield from (
                    _entry(folder + b"/" + item.name, item.stat(follow_symlinks=False).st_ctime_ns) for item in others
                )
        except OSError:
            continue


def _entry(path: bytes, changed: int) -> FileEntry:
    return FileEntry(path, FileKind.FILE, stat.S_IRUSR, 0, 0, mtime=0, changed=changed)


#: Number of paths in a message.
_SHOWN = 3


def check_volumes(
    engine: Engine, *, tier: str, container: str, parent_image: Image, declared: Mapping[str, Any]
) -> None:
    """Reject changes of a role below a volume that its tier inherits.

    The role may create the directory itself, and change its owner or mode: a new volume takes these from it.

    Args:
        engine: The engine.
        tier: Name of the tier.
        container: ID of its build container.
        parent_image: The image that the container was started from.
        declared: The tier's checked ``tier_config``; if it has ``volumes``, the tier inherits no volumes.

    Raises:
        SealError: The role created, changed or removed something there.
        EngineError: The engine does not answer.
    """
    volumes = sorted(parent_image.config.get("Volumes") or ())
    if not volumes or declared.get("volumes") is not None:
        return
    changed = engine.files.changed(container, f"tier {tier!r}: listing the changes in its build container")
    links = Links(engine, container)
    for volume in volumes:
        paths = paths_below(changed, {posixpath.normpath(volume), links.walk(volume)[-1]})
        if paths:
            examples = ", ".join(paths[:_SHOWN]) + (" …" if len(paths) > _SHOWN else "")
            raise SealError(
                f"tier {tier!r}: its role changed {examples} below {volume}, which is a volume that "
                f"{_owner(engine, parent_image, volume)} declares: there, containers see the volume instead of the "
                "content of the image. Put these files elsewhere, or list in tier_config.volumes which volumes the "
                f"image of {tier!r} has: with {volume}, to fill new volumes with this content, or without it"
            )


def paths_below(changed: Iterable[str], folders: Iterable[str]) -> list[str]:
    """Return the paths inside one of the folders, sorted, without those that are parents of other results."""
    prefixes = tuple(folder.rstrip("/") + "/" for folder in folders)
    inside = {path for path in changed if path.startswith(prefixes)}
    return sorted(inside - {posixpath.dirname(path) for path in inside})


def _owner(engine: Engine, parent_image: Image, volume: str) -> str:
    """Name the highest ancestor such that all images from it down to ``parent_image`` have the volume."""
    owner = parent_image
    while parent_id := owner.labels.get(labels.PARENT):
        image = engine.images.find(parent_id)
        if image is None:
            return f"tier {owner.labels.get(labels.TIER)!r} or one of its ancestors"
        if volume not in (image.config.get("Volumes") or ()):
            break
        owner = image
    return f"tier {owner.labels.get(labels.TIER)!r}"
