# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The places that images are read from, and their names on the command line.

=============================  =========================================================================
``NAME[:TAG]``, an ID          the engine
``container:NAME``             the image of a container in the engine, by the name or ID of the container; or a service
``oci:FOLDER[:TAG]``           an OCI image layout (``image-layout.md`` of the OCI image specification)
``archive:FILE[:NAME]``        output of ``docker save`` or ``podman save``, or a layout as tar archive; may be gzipped
``docker://HOST/NAME[:TAG]``   a registry (distribution specification); ``@sha256:…`` for a digest
=============================  =========================================================================

The prefixes are those of ``containers-transports(5)``. Its ``docker-archive:``, ``oci-archive:`` and ``docker-daemon:``
are accepted too. A name that begins with ``/``, ``./`` or ``../`` is a layout if it is a folder, otherwise an archive.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec
from msgspec.structs import replace

from ..errors import DamagedError, EngineError, TierwrightError, UsageError, wrap_errors
from ..layer_index.index import Store
from .image_document import Document


class HeldImage(msgspec.Struct, frozen=True):
    """An image in a place."""

    document: Document
    #: Bytes of all its layers; compressed bytes if the place stores the layers compressed.
    size: int


def merge_names(images: Iterable[HeldImage]) -> list[HeldImage]:
    """Merge images with the same ID into one image with all their names."""
    merged: dict[str, HeldImage] = {}
    for each in images:
        first = merged.get(each.document.id, each)
        names = tuple(dict.fromkeys((*first.document.names, *each.document.names)))
        merged[each.document.id] = HeldImage(replace(first.document, names=names), first.size)
    return list(merged.values())


class Place(Protocol):
    """Where images are: an engine, a registry, a layout, or an archive."""

    #: Its name in messages: ``the engine at unix:///var/run/docker.sock``.
    title: str

    def list_images(self, repository: str = "") -> list[HeldImage]:
        """List all images. Steps of a history may be target if no tier and no parent depends on them.

        Args:
            repository: The repository to list; only registries use it.

        Raises:
            UsageError: The place is a registry, and ``repository`` is empty.
            EngineUnavailableError: The engine or registry does not answer.
            DamagedError: The place does not have the expected format.
        """

    def find(self, reference: str) -> Document:
        """Find one image. An empty reference means the only image.

        Raises:
            NotFoundError: There is no such image.
            EngineUnavailableError: The engine or registry does not answer.
            DamagedError: The place or the image is damaged.
            UnsupportedError: The format of the image is not supported.
        """

    def fill(self, document: Document, store: Store) -> None:
        """Index the layers of an image that the store lacks.

        Missing layers are ignored. Raises the same errors as :meth:`find`.
        """


@runtime_checkable
class BatchPlace(Protocol):
    """A place that exports only whole images. Several images in one export take less time than one export each."""

    def fill_together(self, documents: Iterable[Document], store: Store) -> None:
        """Index the layers of several images that the store lacks. Raises the same errors as :meth:`Place.find`."""


#: Prefixes that mean the engine.
ENGINE = ("", "docker-daemon")
#: Prefix that means the image of a container.
CONTAINER = "container"

#: Methods of a place that read from it.
_READING_METHODS = ("list_images", "find", "fill", "fill_together")

#: Prefix to module and class.
_KINDS = {
    "": ("docker_daemon", "EnginePlace"),
    "docker-daemon": ("docker_daemon", "EnginePlace"),
    CONTAINER: ("containers", "ContainerPlace"),
    "oci": ("archives", "Layout"),
    "archive": ("archives", "SavedArchive"),
    "docker-archive": ("archives", "SavedArchive"),
    "oci-archive": ("archives", "SavedArchive"),
    "docker": ("registry", "Registry"),
}


def split(text: str) -> tuple[str, str, str]:
    """Split the name of an image into kind of place, location, and reference in this place.

    Raises:
        UsageError: The name has a wrong form.
    """
    kind, rest = _split_prefix(text)
    if kind in {*ENGINE, CONTAINER}:
        return kind, "", rest
    if kind == "docker":
        host, _, reference = rest.removeprefix("//").partition("/")
        if not rest.startswith("//") or not host or not reference:
            raise UsageError(f"{text!r} is not the name of an image in a registry; expected docker://HOST/NAME:TAG")
        return kind, host, reference
    location, colon, reference = rest.partition(":")
    if Path(rest).exists():
        location, colon, reference = rest, "", ""
    if not location or (colon and not reference):
        target = "folder" if kind == "oci" else "file"
        raise UsageError(f"{text!r} does not name a {target}; expected {kind}:PATH[:NAME]")
    return kind, location, reference


def open_place(kind: str, location: str, store: Store) -> Place:
    """Open a place, and import only the code that it needs.

    Unexpected errors of its methods become an :class:`.EngineError`, or a :class:`.DamagedError` for files. The message
    names the place.
    """
    module, name = _KINDS[kind]
    place: Place = getattr(importlib.import_module(f".{module}", __package__), name)(location, store)
    error = EngineError if kind in {*ENGINE, CONTAINER, "docker"} else DamagedError
    for method in _READING_METHODS:
        if hasattr(place, method):
            setattr(place, method, _guard(getattr(place, method), place.title, error))
    return place


def _guard(method: Callable[..., Any], title: str, kind: type[TierwrightError]) -> Callable[..., Any]:
    """Convert unexpected errors of a method to errors of this kind."""

    @functools.wraps(method)
    def guarded(*args: Any) -> Any:
        with wrap_errors(f"{title}: its answer cannot be understood", kind):
            return method(*args)

    return guarded


def _split_prefix(text: str) -> tuple[str, str]:
    if text.startswith(("/", "./", "../")):
        return "oci" if Path(text.partition(":")[0]).is_dir() or Path(text).is_dir() else "archive", text
    kind, colon, rest = text.partition(":")
    return (kind, rest) if colon and kind in _KINDS else ("", text)
