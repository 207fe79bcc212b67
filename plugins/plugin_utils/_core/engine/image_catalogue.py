# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine holds, to be looked at: many small answers quickly, and whole images as streams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from ..errors import EngineError, concerning
from .image_ids import Naming
from .inspection import HistoryEntry, names_of, read_history_entry, reported_size
from .session import AnswerBody, EngineSession


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image, as far as a list of all tells of it."""

    id: str
    #: Names and tags as people write them.
    names: tuple[str, ...]
    labels: Mapping[str, str]
    #: Seconds since 1970.
    created: int
    #: Bytes, all layers.
    size: int


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """An image, as the engine shows it alone."""

    id: str
    #: Names and tags as people write them.
    names: tuple[str, ...]
    #: Digests of its layers, the base's first.
    layers: tuple[str, ...]
    #: Its runtime configuration.
    config: Mapping[str, Any]
    #: When it says it was made, as the engine writes it; ``None`` where it does not say so.
    created: str | None
    os: str | None
    architecture: str | None


class Catalogue:
    """All that one engine holds. Nothing here needs the SDK where the engine can be reached without it."""

    def __init__(self, session: EngineSession, naming: Naming) -> None:
        """Take the way to the engine, and what it calls images."""
        self._session, self._naming = session, naming

    def images(self) -> list[ListedImage]:
        """List all images, those too that are part of others.

        Raises:
            EngineError: The engine refused, or its answer cannot be understood.
            EngineUnavailableError: The engine does not answer.
        """
        found = self._session.http.json("/images/json?all=true")
        if not isinstance(found, list):
            raise EngineError(
                f"the engine at {self._session.address} answered with {type(found).__name__} where a list of images "
                "belongs"
            )
        with self._understood():
            return [self._listed(each) for each in found]

    def image(self, reference: str) -> ImageDetails:
        """Look an image up by name or ID.

        Raises:
            NotFoundError: The engine holds no such image.
            EngineError: The engine refused, or its answer cannot be understood.
            EngineUnavailableError: The engine does not answer.
        """
        found = self._session.http.json(f"/images/{quote(self._naming.theirs(reference), safe='/:@')}/json")
        with self._understood():
            return _details(found, self._naming.ours(_id(found)))

    def history(self, image: str) -> list[HistoryEntry]:
        """Read by which steps an image came to be, the newest first; raises what :meth:`image` does."""
        found = self._session.http.json(f"/images/{self._naming.theirs(image)}/history")
        with self._understood():
            return [read_history_entry(each) for each in found]

    def packed(self, image: str) -> AbstractContextManager[AnswerBody]:
        """Get an archive of an image with all its layers; raises what :meth:`image` does."""
        return self._session.http.stream(f"/images/{self._naming.theirs(image)}/get")

    def packed_together(self, images: Iterable[str]) -> AbstractContextManager[AnswerBody]:
        """Get one archive of some images, in which what they share is once; raises what :meth:`image` does."""
        names = [("names", self._naming.theirs(each)) for each in images]
        return self._session.http.stream(f"/images/get?{urlencode(names)}")

    def _listed(self, found: Mapping[str, Any]) -> ListedImage:
        called = _id(found)
        return ListedImage(
            id=self._naming.listed(called, found.get("Labels")),
            names=names_of(found),
            labels=found.get("Labels") or {},
            created=max(0, int(found.get("Created") or 0)),
            size=self._naming.size(called, reported_size(found)),
        )

    def _understood(self) -> AbstractContextManager[None]:
        return concerning(f"the engine at {self._session.address}: its answer cannot be understood", EngineError)


def _details(found: Mapping[str, Any], identifier: str) -> ImageDetails:
    return ImageDetails(
        id=identifier,
        names=names_of(found),
        layers=tuple(found["RootFS"].get("Layers") or ()),
        config=found.get("Config") or {},
        created=found.get("Created"),
        os=found.get("Os"),
        architecture=found.get("Architecture"),
    )


def _id(found: Mapping[str, Any]) -> str:
    if not isinstance(found["Id"], str):
        raise TypeError(f"an image's ID is {found['Id']!r}")
    return found["Id"]
