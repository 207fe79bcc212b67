# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read-only access to all images of an engine: quick for many small requests, and whole images as streams.

It also finds the image of a container, by the container.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from ..errors import EngineError, wrap_errors
from .api_requests import AnswerBody
from .image_ids import ImageNames
from .inspection import HistoryEntry, names_of, read_history_entry, reported_size
from .session import EngineSession


class ListedImage(msgspec.Struct, frozen=True):
    """An image in the list of all images."""

    id: str
    #: Names with tags, in the short form that users write.
    names: tuple[str, ...]
    labels: Mapping[str, str]
    #: Seconds since 1970.
    created: int
    #: Size of all layers, in bytes.
    size: int


class ImageDetails(msgspec.Struct, frozen=True):
    """The details of one image."""

    id: str
    #: Names with tags, in the short form that users write.
    names: tuple[str, ...]
    #: Digests of its layers, from the base upwards.
    layers: tuple[str, ...]
    #: Its runtime configuration.
    config: Mapping[str, Any]
    #: Creation time, as the engine writes it; ``None`` if it has none.
    created: str | None
    os: str | None
    architecture: str | None


class ContainerImage(msgspec.Struct, frozen=True):
    """The image that a container was made from."""

    #: Name of the container.
    container: str
    #: ID of the image.
    image: str
    #: The image as whoever started the container named it: by tag, digest or ID.
    named: str


#: Swarm writes the name of the service into this label of each of its containers.
_SERVICE = "com.docker.swarm.service.name"


class Catalogue:
    """All images of one engine. The SDK is used only if the engine cannot be reached without it."""

    def __init__(self, session: EngineSession, image_names: ImageNames) -> None:
        """Use this session and these image names."""
        self._session, self._image_names = session, image_names

    def images(self) -> list[ListedImage]:
        """List all images, including those on which other images are based.

        Raises:
            EngineError: The engine rejected the request, or its response cannot be understood.
            EngineUnavailableError: The engine does not answer.
        """
        entries = self._session.http.json("/images/json?all=true")
        if not isinstance(entries, list):
            raise EngineError(
                f"the engine at {self._session.address} answered with {type(entries).__name__}; expected a list of "
                "images"
            )
        with self._wrap_errors():
            return [self._read_entry(entry) for entry in entries]

    def image(self, reference: str) -> ImageDetails:
        """Look up an image by name or ID.

        Raises:
            NotFoundError: The engine does not have the image.
            EngineError: The engine rejected the request, or its response cannot be understood.
            EngineUnavailableError: The engine does not answer.
        """
        info = self._session.http.json(f"/images/{quote(self._image_names.engine_name(reference), safe='/:@')}/json")
        with self._wrap_errors():
            return _read_details(info, self._image_names.image_id(_reported_id(info)))

    def history(self, image: str) -> list[HistoryEntry]:
        """Read the history of an image, the newest entry first. Raises the same errors as :meth:`image`."""
        entries = self._session.http.json(f"/images/{self._image_names.engine_name(image)}/history")
        with self._wrap_errors():
            return [read_history_entry(entry) for entry in entries]

    def container(self, name: str) -> ContainerImage:
        """Find the image of a container, running or not, by name or ID. Raises the same errors as :meth:`image`."""
        info = self._session.http.json(f"/containers/{quote(name, safe='')}/json")
        with self._wrap_errors():
            config = info["Config"]
            image = self._image_names.listed_id(str(info["Image"]), config.get("Labels"))
            return ContainerImage(str(info["Name"]).lstrip("/"), image, str(config.get("Image") or ""))

    def service_containers(self, service: str) -> list[str]:
        """List the IDs of the running containers of a service of Swarm. Raises the same errors as :meth:`images`."""
        filters = urlencode({"filters": json.dumps({"label": [f"{_SERVICE}={service}"]})})
        entries = self._session.http.json(f"/containers/json?{filters}")
        with self._wrap_errors():
            return [str(entry["Id"]) for entry in entries]

    def packed(self, image: str) -> AbstractContextManager[AnswerBody]:
        """Get an archive of an image with all its layers. Raises the same errors as :meth:`image`."""
        return self._session.http.stream(f"/images/{self._image_names.engine_name(image)}/get")

    def packed_together(self, images: Iterable[str]) -> AbstractContextManager[AnswerBody]:
        """Get one archive of several images; it has shared layers once. Raises the same errors as :meth:`image`."""
        names = [("names", self._image_names.engine_name(image)) for image in images]
        return self._session.http.stream(f"/images/get?{urlencode(names)}")

    def _read_entry(self, entry: Mapping[str, Any]) -> ListedImage:
        engine_name = _reported_id(entry)
        return ListedImage(
            id=self._image_names.listed_id(engine_name, entry.get("Labels")),
            names=names_of(entry),
            labels=entry.get("Labels") or {},
            created=max(0, int(entry.get("Created") or 0)),
            size=self._image_names.size(engine_name, reported_size(entry)),
        )

    def _wrap_errors(self) -> AbstractContextManager[None]:
        return wrap_errors(f"the engine at {self._session.address}: its answer cannot be understood", EngineError)


def _read_details(info: Mapping[str, Any], identifier: str) -> ImageDetails:
    return ImageDetails(
        id=identifier,
        names=names_of(info),
        layers=tuple(info["RootFS"].get("Layers") or ()),
        config=info.get("Config") or {},
        created=info.get("Created"),
        os=info.get("Os"),
        architecture=info.get("Architecture"),
    )


def _reported_id(info: Mapping[str, Any]) -> str:
    if not isinstance(info["Id"], str):
        raise TypeError(f"the ID of an image is {info['Id']!r}; expected a string")
    return info["Id"]
