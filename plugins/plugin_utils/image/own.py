# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which images on an engine this project made for a chain, and what each of them adds.

Labels are inherited: what somebody builds on a tier's image, with a Dockerfile or a commit, carries the tier's labels.
Whoever does so puts an entry on top of the image's history, and ours is on top of ours only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import docker

from ..engine import images
from ..engine.client import translated
from . import history, labels


@dataclass(frozen=True, slots=True)
class Own:
    """An image that this project made."""

    #: Its ID.
    id: str
    #: The tier that it is of.
    tier: str
    #: Bytes of the tier's own layer.
    size: int


def of_chain(client: docker.DockerClient, chain: str) -> list[Own]:
    """List all images that were made for ``chain``, also those without a name.

    Raises:
        EngineError: The engine refused.
    """
    return _own(client, images.labelled(client, f"{labels.CHAIN}={chain}"))


def nameless(client: docker.DockerClient, chain: str) -> list[Own]:
    """List those that have no name: of runs that were killed before they gave one.

    Raises:
        EngineError: The engine refused.
    """
    return _own(client, dict(images.nameless(client, f"{labels.CHAIN}={chain}")))


def _own(client: docker.DockerClient, listed: Mapping[str, Mapping[str, str]]) -> list[Own]:
    found = []
    for image, said in listed.items():
        with translated(f"reading the history of image {image}"):
            top = client.api.history(image)[0]
        if history.is_of(top.get("CreatedBy") or "", said.get(labels.TIER, "")):
            found.append(Own(image, said[labels.TIER], int(top.get("Size") or 0)))
    return found


def parents(client: docker.DockerClient) -> dict[str, str]:
    """List what images stand on: the parent's ID by the image's, of every image of any chain.

    Raises:
        EngineError: The engine refused.
    """
    return {image: said[labels.PARENT] for image, said in images.labelled(client, labels.PARENT).items()}


def freed(client: docker.DockerClient, removed: Sequence[Own]) -> int:
    """Bytes that removing images frees: their own layers, as far as no other image has them.

    Raises:
        EngineError: The engine refused.
    """
    going = {each.id: each.size for each in removed}
    sizes: dict[tuple[str, ...], int] = {}
    kept: set[tuple[str, ...]] = set()
    for identifier in images.everything(client):
        image = images.find(client, identifier)
        if image is None:
            continue
        if identifier in going:
            sizes[image.layers] = going[identifier]
        else:
            kept.update(image.layers[:count] for count in range(1, len(image.layers) + 1))
    return sum(size for layers, size in sizes.items() if layers not in kept)
