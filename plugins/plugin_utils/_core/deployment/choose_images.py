# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the images that a site shall run, and names them by digest. Nothing is pulled or changed.

A name with the host of a registry is looked up there, so deploying needs no engine that has the image. Any other name
is looked up in the engine, which must then run the site itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ..chain.names import is_repository, is_tag, split_pinned, split_registry
from ..custody.custody_reader import identify_document
from ..custody.image_identity import identify
from ..engine.engine import Engine
from ..errors import ChainError, NotFoundError
from ..handover.attachments import PublishedParent
from ..handover.image_check import ImageChecker
from ..handover.published_image import PublishedImage, open_published, read_published
from ..image import labels
from ..transports.image import open_stack
from ..transports.registry_client import RegistryClient
from .site import DeployedImage

_EXAMPLE = "registry.example.org/team/wordpress:latest"


def choose_image(
    service: str,
    name: str,
    connect: Callable[[str], RegistryClient],
    engine: Engine | None,
    checker: ImageChecker | None = None,
) -> DeployedImage:
    """Find the image of a service.

    Args:
        service: The service, for messages.
        name: The image: ``registry.example.org/team/wordpress:latest``, the same with ``@sha256:…``, or a name or ID in
            the engine.
        connect: Returns the client of a registry.
        engine: The engine that will run the site; ``None`` if the target has no engine of ours.
        checker: Checks the image; ``None`` if it is only looked up.

    Raises:
        TrustError: The policy refuses the image.
        ChainError: The name is not the name of an image, or the target cannot get an image from an engine.
        NotFoundError: There is no such image.
        EngineError: The registry or the engine does not answer.
    """
    repository, reference = split_image(service, name)
    registry = split_registry(repository)
    if registry is not None:
        host, path = registry
        image = read_published(connect(host), path, reference)
        if image is None:
            raise NotFoundError(
                f"service {service!r}: {name} does not exist in registry {host}; publish it, or correct "
                f"deploy_images.{service}"
            )
        chosen = _published(image, name if split_pinned(name) else f"{repository}:{reference}")
        if checker is not None:
            identity = identify_document(image.document, chosen.chosen_by, image.manifest)
            published = PublishedParent(repository, image.manifest)
            tag = None if split_pinned(name) else reference
            subject, layers = f"service {service!r} is not deployed", partial(open_published, image)
            checker.check_published(identity, published, subject, layers, tag)
        return chosen
    if engine is None:
        raise ChainError(
            f"deploy_images.{service} is {name!r}, which names no registry; machines of a cluster can get images only "
            f"from a registry: {_EXAMPLE}"
        )
    return _local(service, name, engine, checker)


def split_image(service: str, name: str) -> tuple[str, str]:
    """Split the name of a service's image into its repository and its tag or digest.

    Raises:
        ChainError: It is not the name of an image.
    """
    pinned = split_pinned(name)
    if pinned is not None:
        return pinned
    head, colon, tag = name.rpartition(":")
    repository, tag = (head, tag) if colon and "/" not in tag else (name, "latest")
    if not is_repository(repository) or not is_tag(tag):
        raise ChainError(f"deploy_images.{service} is {name!r}, which is not the name of an image; expected {_EXAMPLE}")
    return repository, tag


def _published(image: PublishedImage, chosen_by: str) -> DeployedImage:
    return DeployedImage(
        reference=image.name,
        chosen_by=chosen_by,
        config=image.document.id,
        tier=image.document.labels.get(labels.TIER, ""),
        team=image.document.labels.get(labels.TEAM, ""),
    )


def _local(service: str, name: str, engine: Engine, checker: ImageChecker | None) -> DeployedImage:
    image = engine.images.find(name)
    if image is None:
        raise NotFoundError(
            f"service {service!r}: the engine has no image {name}; build it, or name an image in a registry: {_EXAMPLE}"
        )
    if checker is not None:
        subject = f"service {service!r} is not deployed"
        checker.check_local(identify(image, name), subject, partial(open_stack, f"docker-daemon:{image.id}"))
    found: Mapping[str, str] = image.labels
    return DeployedImage(
        # An ID, and not a name: Swarm would look up a name in a registry.
        reference=engine.images.engine_name(image.id),
        chosen_by=name,
        config=image.id,
        tier=found.get(labels.TIER, ""),
        team=found.get(labels.TEAM, ""),
        is_local=True,
    )
