# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes under mounts and inherited volumes, which no image can hold.

What a role wrote where every container has something of its own, so that no image can hold it.

An engine mounts its own ``/etc/hosts``, ``/etc/hostname`` and ``/etc/resolv.conf`` into each container, writes them
before anything runs in it, and makes ``/dev`` anew. What is written there later is told by its time. What a package
manager downloads goes to volumes while a tier is built, so a tier cannot keep it.

Writes beneath a ``VOLUME`` that a tier inherits.

A container that is run from the image gets a volume there, so what a layer holds beneath is seen at most once, when the
volume is new, and a `docker commit` or a Dockerfile drops it without a word. So it is an error, unless the tier says
itself what its image's volumes are.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..engine.containers import BEGUN
from ..engine.engine import Engine
from ..engine.inspection import ContainerInfo, Image
from ..engine.streams import Output
from ..errors import SealError
from ..image import labels
from .build_memory import Timeline
from .cleaner import Cleaner
from .file_entry import FileEntry, FileKind, shown
from .paths import Links
from .residue import Rule, Treatment

#: Files of the engine's in every container.
FILES = (b"etc/hosts", b"etc/hostname", b"etc/resolv.conf")

#: Where containers have devices, and what they have there.
_DEVICES = b"dev"
_USUAL = frozenset(
    b"console core fd full fuse mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
)
_MEMORY = b"dev/shm"
_OURS = b"tierwright"

_ADVICE = (
    "give it to containers where they are started (docker run --add-host, --hostname and --dns; extra_hosts, "
    "hostAliases)"
)
_MOUNTED = Rule(Treatment.DROP, "every container has its own", (), _ADVICE)
_IN_MEMORY = Rule(Treatment.DROP, "/dev is made anew for every container", (), "let it be made when a container starts")


def written(engine: Engine, container: ContainerInfo, root: Path | None) -> list[FileEntry]:
    """Find what was written there in a container that runs.

    Args:
        engine: The engine.
        container: What it says of the container.
        root: The container's root as this machine sees it; ``None`` where it is another machine's: its ``/dev`` cannot
            be looked into.

    Raises:
        EngineError: The engine does not answer.
    """
    started = container.started
    if started is None:
        return []
    times = _times_here(root) if root else _times_there(engine, container.id)
    later = {path: changed for path, changed in times if changed > started}
    if later:
        kept = _begun_here(root, later) if root else _begun_there(engine, container.id, later)
        later = {path: changed for path, changed in later.items() if path in kept}
    files = [_entry(path, changed) for path, changed in later.items()]
    return [*files, *_volumes(container), *(_devices(root) if root else ())]


def check_mounts(entries: Iterable[FileEntry], cleaner: Cleaner, timeline: Timeline) -> None:
    """Refuse files that were written in vain, unless the tier leaves them out; tell of what is in ``/dev``.

    Args:
        entries: What :func:`written` found.
        cleaner: Says what the tier leaves out, and remembers it.
        timeline: The tasks of the build.

    Raises:
        SealError: The role wrote one; the message names them and, where they are known, tasks.
    """
    lost = []
    for entry in entries:
        if entry.kind is FileKind.DIRECTORY:
            if cleaner.names_to_keep(entry.path):
                raise SealError(
                    f"tier_keep names /{shown(entry.path)}, or something in it, but while a tier is built, this is a "
                    "volume that goes with the build container; drop it from tier_keep, and let the role put what the "
                    "image needs elsewhere"
                )
        elif entry.path not in FILES:
            cleaner.leave(entry, _IN_MEMORY)
        elif cleaner.rule(entry.path):
            cleaner.leave(entry, _MOUNTED)
        else:
            lost.append(entry)
    if lost:
        paths = ", ".join(f"/{shown(entry.path)}{_by(entry, timeline)}" for entry in lost)
        drop = ", ".join(shown(entry.path) for entry in lost)
        raise SealError(
            f"its role changed {paths}, which no image can hold: the engine mounts its own file there in every "
            f"container. Let the role leave it as it is, and {_ADVICE}; or say that it may be lost: tier_drop: [{drop}]"
        )


def _by(entry: FileEntry, timeline: Timeline) -> str:
    task = timeline.at(entry)
    return f" by {task}" if task and task.role else ""


def _times_here(root: Path) -> Iterator[tuple[bytes, int]]:
    for path in FILES:
        try:
            found = os.lstat(os.fsencode(root) + b"/" + path)
        except OSError:
            continue
        yield path, found.st_mtime_ns


def _times_there(engine: Engine, container: str) -> Iterator[tuple[bytes, int]]:
    for path in FILES:
        found = engine.files.info(container, f"/{shown(path)}")
        if found is not None and found.changed is not None:
            yield path, found.changed


def _begun_here(root: Path, later: Mapping[bytes, int]) -> Collection[bytes]:
    """Say which files were changed after the first process ran."""
    try:
        begun = (root / BEGUN.lstrip("/")).stat().st_mtime_ns
    except OSError:
        return later
    return [path for path, changed in later.items() if changed > begun]


def _begun_there(engine: Engine, container: str, later: Mapping[bytes, int]) -> Collection[bytes]:
    """The same, asked in the container: what is in its memory cannot be looked at from outside."""
    asked = [f"/{shown(path)}" for path in later]
    script = 'for each; do [ "$each" -nt ' + BEGUN + ' ] && echo "$each"; done; :'
    output = Output()
    if engine.exec.run(container, ["/bin/sh", "-c", script, "sh", *asked], take=output.take, user="0:0") != 0:
        return later
    return [line.lstrip(b"/") for line in bytes(output.stdout).splitlines()]


def _volumes(container: ContainerInfo) -> Iterator[FileEntry]:
    for mount in container.mounts:
        path = os.fsencode(mount.strip("/"))
        if not path.startswith(_DEVICES + b"/"):
            yield FileEntry(path, FileKind.DIRECTORY, 0, 0, 0, mtime=0)


def _devices(root: Path) -> Iterator[FileEntry]:
    for folder, usual in ((_DEVICES, _USUAL), (_MEMORY, frozenset[bytes]())):
        try:
            with os.scandir(os.fsencode(root) + b"/" + folder) as listed:
                found = [each for each in listed if each.name not in usual and not each.name.startswith(_OURS)]
                yield from (
                    _entry(folder + b"/" + each.name, each.stat(follow_symlinks=False).st_ctime_ns) for each in found
                )
        except OSError:
            continue


def _entry(path: bytes, changed: int) -> FileEntry:
    return FileEntry(path, FileKind.FILE, stat.S_IRUSR, 0, 0, mtime=0, changed=changed)


_SHOWN = 3


def check_volumes(
    engine: Engine, *, tier: str, container: str, parent_image: Image, declared: Mapping[str, Any]
) -> None:
    """Refuse what a role wrote beneath a volume that its tier only inherits.

    The directory itself may be made, and get another owner or mode: a new volume takes these from it.

    Args:
        engine: The engine.
        tier: The tier.
        container: Its build container.
        parent_image: The image the container was started on.
        declared: The tier's checked ``tier_config``; where it has ``volumes``, nothing is inherited.

    Raises:
        SealError: Something was made, changed or removed there.
        EngineError: The engine does not answer.
    """
    volumes = sorted(parent_image.config.get("Volumes") or ())
    if not volumes or declared.get("volumes") is not None:
        return
    changed = engine.files.changed(container, f"tier {tier!r}: asking what changed in its build container")
    links = Links(engine, container)
    for volume in volumes:
        found = beneath(changed, {posixpath.normpath(volume), links.way(volume)[-1]})
        if found:
            shown = ", ".join(found[:_SHOWN]) + (" …" if len(found) > _SHOWN else "")
            raise SealError(
                f"tier {tier!r}: its role changed {shown} beneath {volume}, which is a volume that "
                f"{_owner(engine, parent_image, volume)} declares: containers do not see there what an image "
                "holds. Put it "
                f"elsewhere, or say in tier_config.volumes which volumes the image of {tier!r} has: with {volume}, to "
                "give new volumes this content, or without"
            )


def beneath(changed: Iterable[str], folders: Iterable[str]) -> list[str]:
    """The paths that lie in one of the folders, and not merely are one; sorted, without those that lead to others."""
    prefixes = tuple(folder.rstrip("/") + "/" for folder in folders)
    found = {path for path in changed if path.startswith(prefixes)}
    return sorted(found - {posixpath.dirname(path) for path in found})


def _owner(engine: Engine, parent_image: Image, volume: str) -> str:
    """The highest ancestor from which on all images down to ``parent_image`` have the volume."""
    owner = parent_image
    while above := owner.labels.get(labels.PARENT):
        image = engine.images.find(above)
        if image is None:
            return f"tier {owner.labels.get(labels.TIER)!r}, or one that it stands on,"
        if volume not in (image.config.get("Volumes") or ()):
            break
        owner = image
    return f"tier {owner.labels.get(labels.TIER)!r}"
