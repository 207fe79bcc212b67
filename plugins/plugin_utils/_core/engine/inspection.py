# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine says of images, containers and files.

Times as engines write them: RFC 3339, with up to nine digits of a second, of which Python knows six.

What an engine says of an image.

What an engine says of a container, and of a file in it.

The images of an engine at one moment: one question to the engine, however many are looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..chain.names import familiar_name

_FRACTION = re.compile(r"\.\d+")


def seconds(text: str) -> int:
    """Seconds since 1970; 0 where it is no time."""
    try:
        return int(datetime.fromisoformat(_FRACTION.sub("", text)).timestamp())
    except ValueError:
        return 0


def nanoseconds(text: str) -> int | None:
    """Nanoseconds since 1970; ``None`` where it is no time."""
    whole, _, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :] if rest else ""
    try:
        moment = datetime.fromisoformat(whole + zone).timestamp()
    except ValueError:
        return None
    return int(moment) * 10**9 + int((digits + "0" * 9)[:9])


#: How Docker until 24 names an image that has no name.
_NAMELESS = "<none>:<none>"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which image it is, and what it says of itself."""

    #: ``sha256:…`` of its configuration, whatever the engine calls it (:mod:`.image_ids`).
    id: str
    #: Its labels.
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Image(Identity):
    """What the engine says of an image."""

    #: Digests of its layers, the base's first.
    layers: tuple[str, ...]
    #: Its runtime configuration as the engine tells it (``Env``, ``Entrypoint`` …); see :meth:`.Images.full_config`.
    config: Mapping[str, Any]
    #: Names and tags as people write them, whatever an engine puts before them.
    tags: tuple[str, ...]
    #: Bytes, all layers.
    size: int
    #: ``amd64`` …
    architecture: str
    #: ``linux``.
    os: str
    #: Seconds since 1970 of the time that it says it was made.
    created: int = 0

    def is_named(self, reference: str) -> bool:
        """Say whether ``reference``, a name with a tag, is one of the image's."""
        return familiar_name(reference) in self.tags


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One step by which an image came to be."""

    #: What made it.
    created_by: str
    comment: str
    #: Seconds since 1970.
    created: int
    #: Bytes of the layer; 0 where it made none, or an empty one.
    size: int


def names_of(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the names with tags that an answer tells of an image, as people write them."""
    return tuple(familiar_name(name) for name in info.get("RepoTags") or () if name != _NAMELESS and "@" not in name)


def read_image(info: Mapping[str, Any], identifier: str) -> Image:
    """Read the answer to ``GET /images/{name}/json``.

    Args:
        info: The answer.
        identifier: The image's ID.
    """
    config = info.get("Config") or {}
    return Image(
        id=identifier,
        layers=tuple(info["RootFS"].get("Layers") or ()),
        labels=config.get("Labels") or {},
        config=config,
        tags=names_of(info),
        size=reported_size(info),
        architecture=info.get("Architecture") or "amd64",
        os=info.get("Os") or "linux",
        created=seconds(info.get("Created") or ""),
    )


def reported_size(found: Mapping[str, Any]) -> int:
    """Read how many bytes an engine says that an image has."""
    return int(found.get("Size") or 0)


def read_history_entry(info: Mapping[str, Any]) -> HistoryEntry:
    """Read one entry of the answer to ``GET /images/{name}/history``."""
    return HistoryEntry(
        created_by=str(info.get("CreatedBy") or ""),
        comment=str(info.get("Comment") or ""),
        created=int(info.get("Created") or 0),
        size=int(info.get("Size") or 0),
    )


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


def read_container(info: Mapping[str, Any], image: str) -> ContainerInfo:
    """Read the answer to ``GET /containers/{id}/json``.

    Args:
        info: The answer.
        image: ID of the image that it was made from.
    """
    state = info["State"]
    return ContainerInfo(
        id=str(info["Id"]),
        image=image,
        labels=info["Config"].get("Labels") or {},
        running=bool(state.get("Running")),
        pid=int(state.get("Pid") or 0),
        started=nanoseconds(str(state.get("StartedAt") or "")),
        mounts=tuple(str(mount["Destination"]) for mount in info.get("Mounts") or ()),
        overlay=_overlay(info.get("GraphDriver") or {}),
    )


def read_file(info: Mapping[str, Any]) -> FileInfo:
    """Read the header of the answer to ``GET /containers/{id}/archive``."""
    link = int(info.get("mode") or 0) & _GO_SYMLINK
    return FileInfo(nanoseconds(str(info.get("mtime") or "")), str(info["linkTarget"]) if link else None)


def _overlay(driver: Mapping[str, Any]) -> OverlayFolders | None:
    folders = driver.get("Data") or {}
    if driver.get("Name") not in _OVERLAY_DRIVERS or not folders.get("UpperDir") or not folders.get("LowerDir"):
        return None
    return OverlayFolders(str(folders["UpperDir"]), tuple(str(folders["LowerDir"]).split(":")))


#: Image IDs by tag, by repository.
Names = Mapping[str, Mapping[str, str]]


class Snapshot:
    """Images as they were named when the snapshot was taken; :meth:`.Images.snapshot` takes one."""

    def __init__(self, images: Iterable[tuple[Identity, Sequence[str]]]) -> None:
        """Take images and the names of each, as an engine tells them."""
        images = list(images)
        named = {name: image for image, names in images for name in names if name != _NAMELESS and "@" not in name}
        # Docker can hold localhost/web and web at once, so the name as it stands goes before the familiar one.
        self._named = {familiar_name(name): image for name, image in named.items()} | named
        self._images = {image.id: image for image, _names in images}

    def find(self, reference: str) -> Identity | None:
        """Look an image up by a name with a tag, or by its ID; ``None`` where there was none."""
        return self._named.get(reference) or self._named.get(familiar_name(reference)) or self._images.get(reference)

    @property
    def labels(self) -> list[Mapping[str, str]]:
        """Labels of every image."""
        return [image.labels for image in self._images.values()]

    @property
    def names(self) -> Names:
        """Every name, as people write it."""
        found: dict[str, dict[str, str]] = {}
        for reference in self._named:
            repository, _, tag = familiar_name(reference).rpartition(":")
            found.setdefault(repository, {})[tag] = self._named[familiar_name(reference)].id
        return found
