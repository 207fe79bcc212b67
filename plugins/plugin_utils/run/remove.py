# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Removal of a chain that was made for trial: everything that there is of it on an engine."""

from __future__ import annotations

import docker

from ..engine import images
from ..engine.snapshot import Snapshot
from ..image import own


def remove_chain(client: docker.DockerClient, chain: str) -> list[str]:
    """Remove all images that were made for a chain, under all their names.

    Build containers of its earlier runs went when this run began. What other images stand on, or a container was made
    from, stays.

    Args:
        client: The engine.
        chain: The chain's name.

    Returns:
        IDs of the removed images.

    Raises:
        EngineError: The engine refused.
    """
    mine = {each.id for each in own.of_chain(client, chain)}
    for repository, tags in Snapshot.take(client).names.items():
        for tag, image in tags.items():
            if image in mine:
                images.remove(client, f"{repository}:{tag}")
    for image in mine:
        images.remove(client, image)
    return sorted(mine - {each.id for each in own.of_chain(client, chain)})
