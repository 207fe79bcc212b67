# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The images of an engine at one moment: one question to the engine, however many are looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import docker

from ..chain.reference import familiar
from .client import listed, translated
from .images import Identity

#: Image IDs by tag, by repository.
Names = Mapping[str, Mapping[str, str]]

#: How Docker until 24 names an image that has no name.
_NAMELESS = "<none>:<none>"


class Snapshot:
    """Images as they were named when the snapshot was taken."""

    def __init__(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """Take the answer to ``GET /images/json``."""
        images = [(Identity(each["Id"], each.get("Labels") or {}), each.get("RepoTags") or ()) for each in listed]
        named = {name: image for image, names in images for name in names if name != _NAMELESS}
        # Docker can hold localhost/web and web at once, so the name as it stands goes before the familiar one.
        self._named = {familiar(name): image for name, image in named.items()} | named
        self._images = {image.id: image for image, _names in images}

    @classmethod
    def take(cls, client: docker.DockerClient) -> Snapshot:
        """Ask the engine for all images that have a name, or that no other stands on.

        Raises:
            EngineError: The engine does not answer.
        """
        with translated("listing images"):
            return cls(listed(client.api.images()))

    def find(self, reference: str) -> Identity | None:
        """Look an image up by a name with a tag, or by its ID; ``None`` where there was none."""
        return self._named.get(reference) or self._named.get(familiar(reference)) or self._images.get(reference)

    @property
    def labels(self) -> list[Mapping[str, str]]:
        """Labels of every image."""
        return [image.labels for image in self._images.values()]

    @property
    def names(self) -> Names:
        """Every name, as people write it."""
        found: dict[str, dict[str, str]] = {}
        for reference in self._named:
            repository, _, tag = familiar(reference).rpartition(":")
            found.setdefault(repository, {})[tag] = self._named[familiar(reference)].id
        return found
