# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The image that a build container is started from: the parent's layers without the parent's behaviour.

An engine mounts a fresh volume over every VOLUME of the image and would drop what the role writes there; it also
merges entrypoint, user and health check into the container. None of that can be taken back when a container is
created, so the build container starts from an image with the same layers and a configuration of our own.
"""

from __future__ import annotations

import docker

from ..engine import images
from ..engine.images import Image
from . import history
from .archive import docker_archive
from .config import document, image_id, work_config
from .labels import work


def stage(client: docker.DockerClient, parent: Image, run: str, tier: str) -> str:
    """Load the stage image for building ``tier`` on ``parent``.

    Its labels name run and tier, so no two builds share one and each can remove its own.

    Returns:
        The stage image's ID.

    Raises:
        EngineError: The engine refused it.
    """
    content = document(
        architecture=parent.architecture,
        os=parent.os,
        config=work_config(parent.config, work(run, tier)),
        layers=parent.layers,
        history=[{"created_by": "tierwright: build"} for _layer in parent.layers],
        created=history.timestamp(0),
    )
    made = image_id(content)
    images.load(client, docker_archive(content, {}), made)
    return made
