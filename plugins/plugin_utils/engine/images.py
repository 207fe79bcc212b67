# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images as the engine holds them: inspected, loaded, tagged, removed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import docker
import docker.errors

from ..chain.reference import familiar
from ..errors import EngineError
from . import kind
from .client import listed, translated

_FRACTION = re.compile(r"\.\d+")


@dataclass(frozen=True, slots=True)
class Identity:
    """Which image it is, and what it says of itself."""

    #: ``sha256:…`` of its configuration.
    id: str
    #: Its labels.
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Image(Identity):
    """What the engine says of an image."""

    #: Digests of its layers, the base's first.
    layers: tuple[str, ...]
    #: Its runtime configuration as the engine tells it (``Env``, ``Entrypoint`` …); see :func:`full_config`.
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
        return familiar(reference) in self.tags


def find(client: docker.DockerClient, reference: str) -> Image | None:
    """Look an image up by reference or ID; ``None`` where the engine holds none. Nothing is ever pulled."""
    with translated(f"looking for image {reference}"):
        try:
            found = client.api.inspect_image(reference)
        except docker.errors.NotFound:
            return None
        return _image(found)


def get(client: docker.DockerClient, reference: str) -> Image:
    """Look an image up that must be there.

    Raises:
        EngineError: The engine holds no such image.
    """
    image = find(client, reference)
    if image is None:
        raise EngineError(f"image {reference} is not on the engine any more; somebody removed it during the build")
    return image


def full_config(client: docker.DockerClient, image: Image) -> Mapping[str, Any]:
    """Get all of an image's runtime configuration: one engine keeps the health check elsewhere.

    Raises:
        EngineError: The engine refused.
    """
    path = kind.of(client).health_check_path
    if path is None or image.config.get("Healthcheck"):
        return image.config
    doing = f"looking for the health check of image {image.id}"
    with translated(doing):
        answer = client.api.get(client.api.base_url + path.format(image.id), timeout=client.api.timeout)
        if not answer.ok:
            raise EngineError(f"{doing}: the engine says: {answer.text.strip()}")
        found = answer.json().get("Healthcheck")
    return {**image.config, "Healthcheck": found} if found else image.config


def load(client: docker.DockerClient, archive: Iterable[bytes | memoryview], expected: str) -> Image:
    """Load an archive of images.

    Args:
        client: The engine.
        archive: The archive, in pieces.
        expected: ID that the image in it must get.

    Raises:
        EngineError: The engine refused the archive, or the image is not the expected one.
    """
    take(client, archive, f"image {expected}")
    image = find(client, expected)
    if image is None:
        raise EngineError(f"loading image {expected}: the engine took it, but holds no image of that ID")
    return image


def take(client: docker.DockerClient, archive: Iterable[bytes | memoryview], what: str) -> None:
    """Let the engine take an archive of images.

    Args:
        client: The engine.
        archive: The archive, in pieces.
        what: What is in it, for the message.

    Raises:
        EngineError: The engine refused it.
    """
    with translated(f"loading {what}"):
        answers = list(client.api.load_image(archive))
        errors = [answer["error"] for answer in answers if "error" in answer]
    if errors:
        raise EngineError(f"loading {what}: the engine says: {errors[0]}")


def save(client: docker.DockerClient, image: str) -> Iterator[bytes]:
    """Read an image out of the engine as an archive with all its layers, in pieces.

    Raises:
        EngineError: The engine refused, or holds no such image.
    """
    with translated(f"reading image {image}"):
        yield from client.api.get_image(image)


def tag(client: docker.DockerClient, image: str, repository: str, tag_name: str) -> None:
    """Let ``repository:tag_name`` name ``image``, whatever it named before.

    Raises:
        EngineError: The engine refused.
    """
    with translated(f"tagging {repository}:{tag_name}"):
        client.api.tag(image, repository, tag_name)


def remove(client: docker.DockerClient, reference: str) -> None:
    """Remove a name, or an image that has none; it may be gone already, or be needed by others.

    Raises:
        EngineError: The engine refused for another reason.
    """
    with translated(f"removing image {reference}"):
        try:
            client.api.remove_image(reference)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:  # something stands on it
                raise


def labelled(client: docker.DockerClient, label: str) -> dict[str, dict[str, str]]:
    """List images that carry ``label`` (``key`` or ``key=value``), with a name or without.

    Returns:
        Each one's labels, by its ID.

    Raises:
        EngineError: The engine refused.
    """
    with translated("listing images"):
        found = listed(client.api.images(filters={"label": [label]}))
        return {each["Id"]: each.get("Labels") or {} for each in found}


def everything(client: docker.DockerClient) -> list[str]:
    """List the IDs of all images, with a name or without.

    Raises:
        EngineError: The engine refused.
    """
    with translated("listing images"):
        return [str(each["Id"]) for each in listed(client.api.images())]


def nameless(client: docker.DockerClient, label: str) -> list[tuple[str, dict[str, str]]]:
    """List images that no tag names and that carry ``label``.

    Returns:
        Pairs of image ID and its labels.
    """
    with translated("listing images"):
        found = listed(client.api.images(filters={"dangling": True, "label": [label]}))
        return [(each["Id"], each.get("Labels") or {}) for each in found]


def _image(found: Mapping[str, Any]) -> Image:
    config = found.get("Config") or {}
    return Image(
        id=found["Id"],
        layers=tuple(found["RootFS"].get("Layers") or ()),
        labels=config.get("Labels") or {},
        config=config,
        tags=tuple(familiar(tag) for tag in found.get("RepoTags") or ()),
        size=int(found.get("Size") or 0),
        architecture=found.get("Architecture") or "amd64",
        os=found.get("Os") or "linux",
        created=_seconds(found.get("Created") or ""),
    )


def _seconds(text: str) -> int:
    """Seconds since 1970 of an RFC 3339 time, which may be in nanoseconds; 0 where it is none."""
    try:
        return int(datetime.fromisoformat(_FRACTION.sub("", text)).timestamp())
    except ValueError:
        return 0
