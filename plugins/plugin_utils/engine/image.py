# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine says of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..chain.reference import familiar
from .times import seconds

#: How Docker until 24 names an image that has no name.
_NAMELESS = "<none>:<none>"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which image it is, and what it says of itself."""

    #: ``sha256:…`` of its configuration, whatever the engine calls it (:mod:`.naming`).
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
        return familiar(reference) in self.tags


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


def names_of(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the names with tags that an answer tells of an image, as people write them."""
    return tuple(familiar(name) for name in found.get("RepoTags") or () if name != _NAMELESS and "@" not in name)


def read_image(found: Mapping[str, Any], identifier: str) -> Image:
    """Read the answer to ``GET /images/{name}/json``.

    Args:
        found: The answer.
        identifier: The image's ID.
    """
    config = found.get("Config") or {}
    return Image(
        id=identifier,
        layers=tuple(found["RootFS"].get("Layers") or ()),
        labels=config.get("Labels") or {},
        config=config,
        tags=names_of(found),
        size=reported_size(found),
        architecture=found.get("Architecture") or "amd64",
        os=found.get("Os") or "linux",
        created=seconds(found.get("Created") or ""),
    )


def reported_size(found: Mapping[str, Any]) -> int:
    """Read how many bytes an engine says that an image has."""
    return int(found.get("Size") or 0)


def read_history_entry(found: Mapping[str, Any]) -> HistoryEntry:
    """Read one entry of the answer to ``GET /images/{name}/history``."""
    return HistoryEntry(
        created_by=str(found.get("CreatedBy") or ""),
        comment=str(found.get("Comment") or ""),
        created=int(found.get("Created") or 0),
        size=int(found.get("Size") or 0),
    )
