"""Removes what tests made from an engine, and leaves what they share."""

from __future__ import annotations

import time

import docker
import docker.errors

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.interpreter import mounted_python
from sdk_client import as_engine


def remove_images(engine: docker.DockerClient, where: str, keep: str = "-") -> None:
    """Remove all names of the images that match a filter, except names that begin with `keep`."""
    kind, _, value = where.partition("=")
    for image in engine.images.list(filters={kind: value}):
        for tag in image.tags or [str(image.id)]:
            if not tag.startswith(keep):
                engine.images.remove(tag, force=True)


def remove_names(engine: docker.DockerClient, prefix: str) -> None:
    """Remove the names that begin with `prefix`. An image may have others, which stay: the demo's base, for example."""
    for image in engine.images.list():
        for tag in image.tags:
            if tag.startswith(prefix):
                engine.images.remove(tag)


def remove_interpreter(engine: docker.DockerClient, base: str) -> None:
    """Remove the mounted Python of a base that a test made."""
    name = mounted_python.volume_name(next(mounted_python.python_sources(as_engine(engine).images.get(base))))
    for volume in engine.volumes.list(filters={"label": f"{labels.PYTHON}={name}"}):
        for attempts_left in range(50, -1, -1):
            try:
                volume.remove()
                break
            except docker.errors.APIError as error:  # the container that used it is still being removed
                if error.status_code != 409 or not attempts_left:
                    raise
                time.sleep(0.2)
