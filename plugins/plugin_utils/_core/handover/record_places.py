# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds where the records of a published image and of its ancestors are: each tier's are in its own repository."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from ..chain.names import split_registry
from ..custody.registry_records import RegistryPlace
from ..errors import NotFoundError
from ..transports.registry_client import RegistryClient
from .attachments import PublishedParent, find_attachment
from .upstream import upstream_ancestors


def find_record_places(connect: Callable[[str], RegistryClient], image: PublishedParent) -> list[RegistryPlace]:
    """Return the places of an image and of its published ancestors, the nearest first.

    The attachments that name the ancestors are not signed. That does no harm: what is found there must be signed.

    Args:
        connect: Returns a registry, by its host.
        image: The published image.

    Raises:
        DamagedError: An attachment cannot be read.
        EngineError: A registry rejected a request, or does not answer.
    """
    places = [_place(connect, image)]
    own = find_attachment(places[0].client, places[0].repository, image.digest)
    if own is not None:
        with suppress(NotFoundError):  # the verification names the tier whose records are missing
            places += [_place(connect, each.image) for each in upstream_ancestors(connect, image, own)]
    return places


def _place(connect: Callable[[str], RegistryClient], image: PublishedParent) -> RegistryPlace:
    host, repository = split_registry(image.image) or ("", image.image)
    return RegistryPlace(connect(host), repository, image.digest)
