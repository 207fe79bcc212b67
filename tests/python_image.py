"""An image with its own Python, for tests that do not use the mounted Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import docker

_INSTALL = (
    "apt-get -qq update && apt-get -qq install --no-install-recommends python3 python3-apt sudo >/dev/null && "
    "apt-get clean"
)


@contextmanager
def python_image(engine: docker.DockerClient, base: str) -> Iterator[str]:
    """Install Python and sudo on an image of the Debian family. The new image is removed at the end.

    Args:
        engine: The engine.
        base: ID of the image.

    Yields:
        ID of the new image.
    """
    container = engine.containers.create(
        base, ["sh", "-c", _INSTALL], environment={"DEBIAN_FRONTEND": "noninteractive"}
    )
    try:
        container.start()
        if container.wait(timeout=300)["StatusCode"] != 0:
            raise RuntimeError(container.logs().decode())
        image = str(container.commit(changes=["CMD []"]).id)
    finally:
        container.remove(v=True, force=True)
    yield image
    engine.images.remove(image, force=True)
