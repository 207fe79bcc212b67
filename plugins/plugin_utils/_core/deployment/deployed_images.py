# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares the image that a service runs with what its name stands for now, and finds its release.

Each registry and each image is asked once. A registry that does not answer is not asked again.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from ..chain import tags
from ..chain.names import familiar_name, is_digest, is_repository, is_tag, split_pinned, split_registry
from ..errors import EngineUnavailableError, NotFoundError, TierwrightError
from ..handover.published_image import published_id, read_published
from ..transports.image import layers
from ..transports.image_document import Document
from ..transports.registry import list_tags
from ..transports.registry_client import RegistryClient
from ..transports.transport import Place
from .deployed_service import DeployedService, OutdatedLayer, is_pinned

#: How many releases are compared with what runs, the newest first. Each is one request.
_MOST_RELEASES = 20


class _UnknownError(TierwrightError):
    """Why an image cannot be compared."""


class _Name(msgspec.Struct, frozen=True):
    """The name that an image was chosen by."""

    #: The host of the registry; ``None`` for an image of the engine.
    host: str | None
    #: The repository, without the host.
    repository: str
    #: A tag, or a digest.
    reference: str
    text: str


class _Named(msgspec.Struct, frozen=True):
    """An image, and its name by digest."""

    name: str
    document: Document


class ImageComparison:
    """Compares images of services."""

    def __init__(self, connect: Callable[[str], RegistryClient], engine: Place | None) -> None:
        """Take where images are.

        Args:
            connect: Returns the client of a registry.
            engine: The engine that runs the services; ``None`` for a cluster, whose images are in registries.
        """
        self._connect, self._engine = connect, engine
        self._answers: dict[tuple[str, str | None, str | None], DeployedService] = {}
        self._silent: dict[str, str] = {}

    def compare(self, service: DeployedService) -> DeployedService:
        """Return a service with its release, and with what is out of date. An error becomes its ``unknown``."""
        key = service.image, service.chosen_by, service.config
        if key not in self._answers:
            self._answers[key] = self._compare(service)
        found = self._answers[key]
        return replace(
            service, config=found.config, release=found.release, newest=found.newest, current=found.current,
            outdated=found.outdated, unknown=found.unknown,
        )  # fmt: skip

    def _compare(self, service: DeployedService) -> DeployedService:
        try:
            name = _parse(service.chosen_by)
            self._check_answers(name)
            current = self._current(service, name)
            identity = current.document.id if current else service.config
            service = replace(service, config=identity, release=self._release(name, current, identity))
            if is_pinned(service):
                return service
            newest = self._newest(name)
        except TierwrightError as error:
            return replace(service, unknown=str(error))
        is_current = newest.document.id == identity
        service = replace(service, newest=newest.name, current=is_current)
        if current is None and not is_current:
            return replace(service, unknown=f"its image {service.image} is gone, so its layers are unknown")
        return replace(service, outdated=outdated_layers(current.document, newest.document) if current else [])

    def _check_answers(self, name: _Name) -> None:
        if name.host in self._silent:
            raise _UnknownError(self._silent[name.host])

    def _current(self, service: DeployedService, name: _Name) -> _Named | None:
        """Find the image that runs; ``None`` if it is gone."""
        pinned = split_pinned(service.image)
        if pinned is None:
            if not is_digest(service.image) or self._engine is None:
                raise _UnknownError(f"it runs {service.image}, which is no digest; deploy it again")
            return _find(self._engine, service.image)
        if split_registry(pinned[0]) != (name.host, name.repository):
            raise _UnknownError(f"it runs {service.image}, which is not from the repository of {name.text}")
        return self._published(name, pinned[1])

    def _newest(self, name: _Name) -> _Named:
        """Find the image that a name stands for."""
        if name.host is not None:
            found, place = self._published(name, name.reference), f"registry {name.host}"
        else:
            if self._engine is None:
                raise _UnknownError(f"{name.text} names no registry")
            found, place = _find(self._engine, f"{name.repository}:{name.reference}"), "the engine"
        if found is None:
            raise _UnknownError(f"{place} does not have {name.text} any more")
        return found

    def _published(self, name: _Name, reference: str) -> _Named | None:
        host = str(name.host)
        try:
            found = read_published(self._connect(host), name.repository, reference)
        except EngineUnavailableError:
            self._silent[host] = f"registry {host} does not answer"
            raise
        return _Named(found.name, found.document) if found else None

    def _release(self, name: _Name, current: _Named | None, identity: str | None) -> str | None:
        """Find the newest release of the image that runs; ``None`` if none is known."""
        if name.host is None:
            names = current.document.names if current else ()
            split = [familiar_name(each).rpartition(":") for each in names]
            own = [tag for repository, _colon, tag in split if repository == name.repository and tags.is_release(tag)]
            return max(own, default=None)
        try:
            client = self._connect(name.host)
            listed = (tag for tag in list_tags(client, name.repository) if tags.is_release(tag))
            newest = heapq.nlargest(_MOST_RELEASES, listed)
            return next((tag for tag in newest if published_id(client, name.repository, tag) == identity), None)
        except TierwrightError:
            return None  # some registries let users read images, but not list them


def _parse(chosen_by: str | None) -> _Name:
    if chosen_by is None:
        raise _UnknownError("it does not say by which name its image was chosen")
    pinned = split_pinned(chosen_by)
    if pinned is not None:
        repository, reference = pinned
    else:
        repository, colon, reference = chosen_by.rpartition(":")
        if not colon or "/" in reference:
            repository, reference = chosen_by, "latest"
    if not is_repository(repository) or not (is_tag(reference) or is_digest(reference)):
        raise _UnknownError(f"its image was chosen by {chosen_by!r}, which is not the name of an image")
    host, path = split_registry(repository) or (None, familiar_name(repository))
    return _Name(host, path, reference, chosen_by)


def _find(engine: Place, reference: str) -> _Named | None:
    try:
        document = engine.find(reference)
    except NotFoundError:
        return None
    return _Named(document.id, document)


def outdated_layers(current: Document, newest: Document) -> list[OutdatedLayer]:
    """Return the layers of an image that are not in the newest one, the lowest first."""
    kept = set(newest.layers)
    return [OutdatedLayer(layer.tier, layer.team) for layer in layers(current) if layer.digest not in kept]
