# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parsed responses of the Engine API: images, containers, files in containers, and a snapshot of all image names.

Engines write times in the format of RFC 3339, with up to nine digits after the second. Python supports only six.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ..chain.names import familiar_name

_FRACTION = re.compile(r"\.\d+")


def parse_seconds(text: str) -> int:
    """Parse a time into seconds since 1970; 0 if ``text`` is not a time."""
    try:
        return int(datetime.fromisoformat(_FRACTION.sub("", text)).timestamp())
    except ValueError:
        return 0


def parse_nanoseconds(text: str) -> int | None:
    """Parse a time into nanoseconds since 1970; ``None`` if ``text`` is not a time."""
    whole, _, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :] if rest else ""
    try:
        moment = datetime.fromisoformat(whole + zone).timestamp()
    except ValueError:
        return None
    return int(moment) * 10**9 + int((digits + "0" * 9)[:9])


#: The name that Docker up to version 24 reports for an image without a name.
_NAMELESS = "<none>:<none>"


class Identity(msgspec.Struct, frozen=True):
    """The ID and the labels of an image."""

    #: ``sha256:…`` of its configuration. The engine may use a different name (:mod:`.image_ids`).
    id: str
    labels: Mapping[str, str]


class Image(Identity, frozen=True):
    """An image, as the engine describes it."""

    #: Digests of its layers, from the base upwards.
    layers: tuple[str, ...]
    #: Its runtime configuration as reported (``Env``, ``Entrypoint`` …); see :meth:`.Images.full_config`.
    config: Mapping[str, Any]
    #: Names with tags, in the short form that users write (:func:`.names.familiar_name`).
    tags: tuple[str, ...]
    #: Size of all layers, in bytes.
    size: int
    #: ``amd64`` …
    architecture: str
    #: ``linux``.
    os: str
    #: Creation time in its configuration, in seconds since 1970.
    created: int = 0

    def is_named(self, reference: str) -> bool:
        """Say whether the image has the name ``reference``, which includes a tag."""
        return familiar_name(reference) in self.tags


class HistoryEntry(msgspec.Struct, frozen=True):
    """One entry in the history of an image."""

    #: The command of this step.
    created_by: str
    comment: str
    #: Seconds since 1970.
    created: int
    #: Size of the layer in bytes; 0 if the step made no layer or an empty one.
    size: int


def names_of(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the names with tags of an image from a response, in the short form that users write."""
    return tuple(familiar_name(name) for name in info.get("RepoTags") or () if name != _NAMELESS and "@" not in name)


def read_image(info: Mapping[str, Any], identifier: str) -> Image:
    """Read the response to ``GET /images/{name}/json``.

    Args:
        info: The response.
        identifier: The image ID.
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
        created=parse_seconds(info.get("Created") or ""),
    )


def reported_size(info: Mapping[str, Any]) -> int:
    """Read the size of an image that the engine reports, in bytes."""
    return int(info.get("Size") or 0)


def read_history_entry(info: Mapping[str, Any]) -> HistoryEntry:
    """Read one entry of the response to ``GET /images/{name}/history``."""
    return HistoryEntry(
        created_by=str(info.get("CreatedBy") or ""),
        comment=str(info.get("Comment") or ""),
        created=int(info.get("Created") or 0),
        size=int(info.get("Size") or 0),
    )


#: Storage drivers that use the overlay file system of the kernel and report its folders.
_OVERLAY_DRIVERS = frozenset({"overlay", "overlay2"})

#: Go's ``fs.ModeSymlink``: engines report file modes with the bits of Go.
_GO_SYMLINK = 1 << 27


class OverlayFolders(msgspec.Struct, frozen=True):
    """The folders of a container's overlay file system, on the engine's machine."""

    #: The changes of the container.
    upper: str
    #: The layers of its image, the topmost first.
    lower: tuple[str, ...]


class ContainerInfo(msgspec.Struct, frozen=True):
    """A container, as the engine describes it."""

    #: Its full ID.
    id: str
    #: ID of the image that it was made from.
    image: str
    labels: Mapping[str, str]
    running: bool
    #: Process ID of its first process, on the engine's machine; 0 if it is not running.
    pid: int
    #: Start time in nanoseconds since 1970; ``None`` if it is not reported.
    started: int | None
    #: Paths in it that have something mounted.
    mounts: tuple[str, ...]
    #: The folders of its files; ``None`` if the engine stores them differently, or does not report them.
    overlay: OverlayFolders | None
    #: Its exit status; ``None`` if it is running, or has never been started.
    exit_status: int | None = None
    #: Why the engine could not start it; empty if it could.
    error: str = ""


class FileInfo(msgspec.Struct, frozen=True):
    """A file in a container, as the engine describes it."""

    #: Modification time in nanoseconds since 1970; ``None`` if it is not reported.
    changed: int | None
    #: Target of a symbolic link; ``None`` for other files.
    target: str | None


#: States of containers whose exit status means nothing. Podman has two of them.
_NEVER_STARTED = frozenset({"created", "configured", "initialized"})


def read_container(info: Mapping[str, Any], image: str) -> ContainerInfo:
    """Read the response to ``GET /containers/{id}/json``.

    Args:
        info: The response.
        image: ID of the image that it was made from.
    """
    state = info["State"]
    has_ended = not state.get("Running") and state.get("Status") not in _NEVER_STARTED
    return ContainerInfo(
        id=str(info["Id"]),
        image=image,
        labels=info["Config"].get("Labels") or {},
        running=bool(state.get("Running")),
        pid=int(state.get("Pid") or 0),
        started=parse_nanoseconds(str(state.get("StartedAt") or "")),
        mounts=tuple(str(mount["Destination"]) for mount in info.get("Mounts") or ()),
        overlay=_overlay(info.get("GraphDriver") or {}),
        exit_status=int(state.get("ExitCode") or 0) if has_ended else None,
        error=str(state.get("Error") or ""),
    )


def read_file(info: Mapping[str, Any]) -> FileInfo:
    """Read the header of the response to ``GET /containers/{id}/archive``."""
    link = int(info.get("mode") or 0) & _GO_SYMLINK
    return FileInfo(parse_nanoseconds(str(info.get("mtime") or "")), str(info["linkTarget"]) if link else None)


def _overlay(driver: Mapping[str, Any]) -> OverlayFolders | None:
    folders = driver.get("Data") or {}
    if driver.get("Name") not in _OVERLAY_DRIVERS or not folders.get("UpperDir") or not folders.get("LowerDir"):
        return None
    return OverlayFolders(str(folders["UpperDir"]), tuple(str(folders["LowerDir"]).split(":")))


#: Repository to tag to image ID.
Names = Mapping[str, Mapping[str, str]]


class Snapshot:
    """All images and their names at one moment, from one request. :meth:`.Images.snapshot` makes it."""

    def __init__(self, images: Iterable[tuple[Identity, Sequence[str]]]) -> None:
        """Store images and their names, as the engine reports them."""
        images = list(images)
        named = {name: image for image, names in images for name in names if name != _NAMELESS and "@" not in name}
        # Docker can have localhost/web and web at the same time, so the reported name has precedence over the short
        # one.
        self._named = {familiar_name(name): image for name, image in named.items()} | named
        self._images = {image.id: image for image, _names in images}

    def find(self, reference: str) -> Identity | None:
        """Look up an image by name with tag, or by ID; ``None`` if it did not exist."""
        return self._named.get(reference) or self._named.get(familiar_name(reference)) or self._images.get(reference)

    @property
    def labels(self) -> list[Mapping[str, str]]:
        """The labels of each image."""
        return [image.labels for image in self._images.values()]

    @property
    def names(self) -> Names:
        """All names, in the short form that users write."""
        names: dict[str, dict[str, str]] = {}
        for reference in self._named:
            repository, _, tag = familiar_name(reference).rpartition(":")
            names.setdefault(repository, {})[tag] = self._named[familiar_name(reference)].id
        return names
