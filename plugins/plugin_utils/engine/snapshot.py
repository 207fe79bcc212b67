# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The images of an engine at one moment: one question to the engine, however many are looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import docker

from ..chain.reference import familiar
from .client import translated
from .images import Identity


class Snapshot:
    """Images by the names that they had when the snapshot was taken."""

    def __init__(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """Take the answer to ``GET /images/json``; images without a name cannot be found."""
        named = [
            (name, Identity(each["Id"], each.get("Labels") or {}))
            for each in listed
            for name in each.get("RepoTags") or ()
        ]
        # Docker can hold localhost/web and web at once, so the name as it stands goes before the familiar one.
        self._images = {familiar(name): image for name, image in named} | dict(named)

    @classmethod
    def take(cls, client: docker.DockerClient, label: str) -> Snapshot:
        """Ask the engine for all images that carry ``label``.

        Raises:
            EngineError: The engine does not answer.
        """
        with translated("listing images"):
            return cls(client.api.images(filters={"label": [label]}))

    def find(self, reference: str) -> Identity | None:
        """Look an image up by a name with a tag; ``None`` where none had it."""
        return self._images.get(reference) or self._images.get(familiar(reference))
