# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Places that images are in, and how they are named on a command line.

=============================  =========================================================================
``NAME[:TAG]``, an ID          the engine
``oci:FOLDER[:TAG]``           an OCI image layout (``image-layout.md`` of the OCI image specification)
``archive:FILE[:NAME]``        what ``docker save`` or ``podman save`` wrote, or a layout in a tar archive; also gzipped
``docker://HOST/NAME[:TAG]``   a registry (distribution specification); ``@sha256:…`` for a digest
=============================  =========================================================================

The names are those of ``containers-transports(5)``, whose ``docker-archive:``, ``oci-archive:`` and ``docker-daemon:``
are understood as well. What begins with ``/``, ``./`` or ``../`` is a layout where it is a folder, else an archive.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..errors import DamagedError, EngineError, TierwrightError, UsageError, concerning
from ..layer_index.index import Store
from .image_document import Document


@dataclass(frozen=True, slots=True)
class Held:
    """An image that a place holds."""

    document: Document
    #: Bytes of all its layers; compressed ones where the place keeps them compressed.
    size: int


def merged(images: Iterable[Held]) -> list[Held]:
    """Put the names together of what is one image."""
    found: dict[str, Held] = {}
    for each in images:
        known = found.get(each.document.id, each)
        names = tuple(dict.fromkeys((*known.document.names, *each.document.names)))
        found[each.document.id] = Held(replace(known.document, names=names), known.size)
    return list(found.values())


class Place(Protocol):
    """Where images are."""

    #: What it is called in messages: ``the engine at unix:///var/run/docker.sock``.
    title: str

    def held(self, repository: str = "") -> list[Held]:
        """Say which images it holds. Steps of a history may be missing where nothing depends on them.

        Args:
            repository: The only one that is asked for; places that list everything anyway pass over it.

        Raises:
            UsageError: A registry was not told which repository.
            EngineUnavailableError: Nobody answers.
            DamagedError: It is not what it promises to be.
        """

    def find(self, reference: str) -> Document:
        """Find one image; an empty reference means the only one.

        Raises:
            NotFoundError: It holds no such image.
            EngineUnavailableError: Nobody answers.
            DamagedError: It, or the image, is damaged.
            UnsupportedError: The image is of a kind that is not read.
        """

    def fill(self, document: Document, store: Store) -> None:
        """Put the indexes of an image's layers, but for those that are there, into the store.

        Layers that are missing are left out. Raises what :meth:`find` does.
        """


@runtime_checkable
class Packs(Protocol):
    """A place that hands out whole images only, so that several together cost less than one by one."""

    def fill_together(self, documents: Iterable[Document], store: Store) -> None:
        """Put the indexes of several images' layers into the store; raises what :meth:`Place.find` does."""


#: Words before a reference that mean the engine.
ENGINE = ("", "docker-daemon")

#: Methods of a place that ask it something.
_ASKED = ("held", "find", "fill", "fill_together")

#: Word before a reference to module and class.
_KINDS = {
    "": ("docker_daemon", "EnginePlace"),
    "docker-daemon": ("docker_daemon", "EnginePlace"),
    "oci": ("archives", "Layout"),
    "archive": ("archives", "Saved"),
    "docker-archive": ("archives", "Saved"),
    "oci-archive": ("archives", "Saved"),
    "docker": ("registry", "Registry"),
}


def split(text: str) -> tuple[str, str, str]:
    """Split what a user names into kind of place, location and reference in it.

    Raises:
        UsageError: It is no such name.
    """
    kind, rest = _kind(text)
    if kind in ENGINE:
        return kind, "", rest
    if kind == "docker":
        host, _, reference = rest.removeprefix("//").partition("/")
        if not rest.startswith("//") or not host or not reference:
            raise UsageError(f"{text!r} names no image of a registry; expected docker://HOST/NAME:TAG")
        return kind, host, reference
    location, colon, reference = rest.partition(":")
    if Path(rest).exists():
        location, colon, reference = rest, "", ""
    if not location or (colon and not reference):
        raise UsageError(f"{text!r} names no {'folder' if kind == 'oci' else 'file'}; expected {kind}:PATH[:NAME]")
    return kind, location, reference


def open_place(kind: str, location: str, store: Store) -> Place:
    """Open a place; only the code that it needs is imported.

    Whatever it answers that its methods did not expect becomes an error of ours that names the place.
    """
    module, name = _KINDS[kind]
    place: Place = getattr(importlib.import_module(f".{module}", __package__), name)(location, store)
    error = EngineError if kind in {*ENGINE, "docker"} else DamagedError
    for method in _ASKED:
        if hasattr(place, method):
            setattr(place, method, _guarded(getattr(place, method), place.title, error))
    return place


def _guarded(method: Callable[..., Any], title: str, kind: type[TierwrightError]) -> Callable[..., Any]:
    @functools.wraps(method)
    def asked(*args: Any) -> Any:
        with concerning(f"{title}: its answer cannot be understood", kind):
            return method(*args)

    return asked


def _kind(text: str) -> tuple[str, str]:
    if text.startswith(("/", "./", "../")):
        return "oci" if Path(text.partition(":")[0]).is_dir() or Path(text).is_dir() else "archive", text
    kind, colon, rest = text.partition(":")
    return (kind, rest) if colon and kind in _KINDS else ("", text)
