# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the image that a container of the engine was made from: what runs, whatever its name stands for now."""

from __future__ import annotations

from ..chain.names import split_pinned, split_registry
from ..engine.engine import lazy_engine
from ..engine.image_catalogue import ContainerImage
from ..errors import NotFoundError, UsageError
from .docker_daemon import EnginePlace
from .image_document import Document


class ContainerPlace(EnginePlace):
    """The images of containers in the engine. A reference is a container, or a service of Swarm."""

    def find(self, reference: str) -> Document:
        """Find the image of a container, as :meth:`.transport.Place.find` does. The container may be stopped."""
        return super().find(self._source(reference).image)

    def _source(self, reference: str) -> ContainerImage:
        if not reference:
            raise UsageError("container: does not name a container; expected container:NAME")
        return container_source(reference)


def container_source(reference: str) -> ContainerImage:
    """Find a container of the engine, and the image that it was made from.

    Args:
        reference: Name or ID of a container; or a service of Swarm whose containers all have the same image.

    Raises:
        NotFoundError: There is neither.
        UsageError: The containers of the service have different images, because it is being replaced.
        EngineUnavailableError: The engine does not answer.
    """
    engine = lazy_engine()
    catalogue = engine.catalogue
    try:
        return catalogue.container(reference)
    except NotFoundError:
        found = [catalogue.container(container) for container in catalogue.service_containers(reference)]
    if not found:
        raise NotFoundError(
            f"the engine at {engine.address} has no container {reference!r}, and no service of this name with a "
            "running container"
        )
    if len({source.image for source in found}) > 1:
        names = ", ".join(sorted(source.container for source in found))
        raise UsageError(f"the containers of service {reference!r} have different images; name one of {names}")
    return found[0]


def repository_of(source: ContainerImage) -> str | None:
    """Return the repository of a container's image, as the command line names it.

    Returns:
        ``docker://HOST/NAME`` if the container was started from a registry, otherwise a name in the engine; ``None`` if
        it was started by the ID of an image.
    """
    pinned = split_pinned(source.named)
    name = pinned[0] if pinned else source.named
    head, colon, tag = name.rpartition(":")
    repository = head if colon and "/" not in tag else name
    if not repository or repository == "sha256" or source.image.removeprefix("sha256:").startswith(repository):
        return None
    return f"docker://{repository}" if split_registry(repository) else repository
