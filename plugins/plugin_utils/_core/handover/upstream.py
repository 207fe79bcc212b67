# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ancestors of a published image, found through the places in their attachments."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..chain.names import split_registry
from ..errors import DamagedError, NotFoundError
from ..transports.registry_access import is_local
from ..transports.registry_client import RegistryClient
from .attachments import Attachment, PublishedParent, find_attachment

#: Limit of the number of ancestors.
_MOST = 100


class UpstreamAncestor(msgspec.Struct, frozen=True):
    """An ancestor of a published image."""

    #: The published image.
    image: PublishedParent
    attachment: Attachment


def upstream_ancestors(
    connect: Callable[[str], RegistryClient], image: PublishedParent, attachment: Attachment
) -> tuple[UpstreamAncestor, ...]:
    """Follow the places upwards, also into other registries.

    Args:
        connect: Returns a registry, by its host.
        image: The published image.
        attachment: Its attachment.

    Returns:
        The ancestors, the nearest first.

    Raises:
        NotFoundError: An ancestor has no attachment, or does not exist.
        DamagedError: The ancestors form a cycle, are too many, or one of them cannot be read.
        EngineError: A registry rejected a request, or does not answer.
    """
    ancestors: list[UpstreamAncestor] = []
    visited = {image.digest}
    child, place = image, attachment.place
    while (parent := place.parent) is not None:
        what = f"tier {place.tier!r} of team {place.team} ({child.image}@{child.digest})"
        if parent.digest in visited:
            raise DamagedError(f"{what} is its own ancestor: its parent is {parent.image}@{parent.digest}")
        if len(ancestors) == _MOST:
            raise DamagedError(f"{what} has more than {_MOST} ancestors")
        visited.add(parent.digest)
        (host, repository), (child_host, _) = _split(parent), _split(child)
        if is_local(host) and not is_local(child_host):
            raise DamagedError(
                f"{what} names a parent in a registry on this machine ({parent.image}), although it is published in "
                f"{child_host}; its team must publish the parent where others can read it"
            )
        found = find_attachment(connect(host), repository, parent.digest)
        if found is None:
            raise NotFoundError(
                f"{what} names the parent {parent.image}@{parent.digest}, which has no attachment, so the contracts "
                "above this tier cannot be found; ask the team that owns the parent to publish it again"
            )
        ancestors.append(UpstreamAncestor(parent, found))
        child, place = parent, found.place
    return tuple(ancestors)


def _split(image: PublishedParent) -> tuple[str, str]:
    place = split_registry(image.image)
    if place is None:
        raise DamagedError(f"{image.image} does not name a registry; expected HOST/NAME")
    return place
