# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contracts of followed tiers and of all tiers above them, also of those that are in no inventory of this project.

Only attachments that the lock file names by their digests are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..chain.names import split_registry
from ..contract.role_tests import RoleTests
from ..errors import ChainError, DamagedError, NotFoundError, describe_error
from ..handover.attachments import Attachment, read_attachment
from ..handover.lock_file import LockedAncestor, LockedTier
from ..transports.registry_client import RegistryClient


def followed_contracts(
    name: str, locked: LockedTier, connect: Callable[[str], RegistryClient]
) -> tuple[RoleTests, ...]:
    """Get the contracts of a followed tier and its ancestors, from the cache or from their registries.

    Args:
        name: The followed tier.
        locked: What the lock file says about it.
        connect: Returns a registry, by its host.

    Returns:
        The contracts, the nearest first.

    Raises:
        ChainError: A registry does not have an attachment any more, or the cache cannot be written.
        DamagedError: An attachment is not the one that the lock file means.
        EngineError: A registry rejected a request, or does not answer.
    """
    return tuple(_read(name, locked, connect))


def _read(name: str, locked: LockedTier, connect: Callable[[str], RegistryClient]) -> Iterator[RoleTests]:
    tiers: tuple[LockedTier | LockedAncestor, ...] = (locked, *locked.ancestors)
    for each in tiers:
        if each.attachment is None:
            continue
        host, repository = split_registry(each.image) or ("", each.image)
        try:
            attachment = read_attachment(connect(host), repository, each.digest, each.attachment)
        except NotFoundError as error:
            raise ChainError(
                f"tier {name!r} cannot be tested with the contract of tier {each.tier!r} of team {each.team}: {error}; "
                f"run `tierwright update {name}`"
            ) from error
        except OSError as error:
            raise ChainError(
                f"tier {name!r}: the contract of tier {each.tier!r} cannot be stored in the cache: "
                f"{describe_error(error)}"
            ) from error
        _check(name, attachment, each.tier, each.team)
        if attachment.tests is not None:
            yield RoleTests(each.tier, each.team, str(attachment.tests), f"{each.image}@{each.digest}")


def _check(name: str, attachment: Attachment, tier: str, team: str) -> None:
    place = attachment.place
    if (place.tier, place.team) != (tier, team):
        raise DamagedError(
            f"tier {name!r}: the lock file says that attachment {attachment.digest} is of tier {tier!r} of team "
            f"{team}, but it is of tier {place.tier!r} of team {place.team}; run `tierwright update {name}`"
        )
