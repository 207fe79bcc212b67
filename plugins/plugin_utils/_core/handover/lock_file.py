# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lock file of a chain: which images of other teams its followed tiers stand for.

``chain.lock`` lies beside the inventory, and is made for review in Git: sorted, one value a line, and without times.
Only ``tierwright update`` writes it. Without a change of this file, no followed image changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ..chain.names import is_digest, is_repository, is_tag, split_registry
from ..chain.tier import Tier
from ..errors import ChainError, DamagedError, describe_error
from ..local_files import write_durably
from ..records import decode, encode
from ..strict_yaml import read_strict_yaml

#: Name of the lock file, in the folder of the inventory.
NAME = "chain.lock"

_HEADER = "# Images of other teams that this chain follows. `tierwright update` writes this file; keep it in Git.\n"
_LARGEST = 8 << 20
_READABLE = 0o644


class LockedAncestor(msgspec.Struct, frozen=True):
    """A tier above a followed tier, in a chain of another team."""

    tier: str
    team: str
    #: Host and repository: ``registry.example.org/operations/base``.
    image: str
    #: Digest of its manifest.
    digest: str
    #: Digest of the manifest of its attachment.
    attachment: str


class LockedTier(msgspec.Struct, frozen=True):
    """The image that a followed tier stands for."""

    #: Host and repository: ``registry.example.org/operations/corebuild``.
    image: str
    #: The tag that named the image when it was locked.
    tag: str
    #: Digest of its manifest.
    digest: str
    #: Digest of its configuration: the image ID.
    config: str
    #: The tier, the team and the chain that published it, from its labels.
    tier: str
    team: str
    chain: str
    #: Digest of the manifest of its attachment; ``None`` if it has none.
    attachment: str | None = None
    #: The tiers above it that are published, the nearest first.
    ancestors: tuple[LockedAncestor, ...] = msgspec.field(default_factory=tuple)

    @property
    def reference(self) -> str:
        """The name by which engines pull it: ``registry.example.org/operations/corebuild@sha256:…``."""
        return f"{self.image}@{self.digest}"


def read_lock(path: Path) -> dict[str, LockedTier]:
    """Read a lock file.

    Args:
        path: The file.

    Returns:
        The locked images by tier; empty if there is no such file.

    Raises:
        DamagedError: The file cannot be read, or does not have the form of a lock file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {describe_error(error)}") from error
    try:
        return _parse(content)
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedError(
            f"{path} is not a valid lock file: {_describe(error)}; get it from Git again, or remove it and run "
            "`tierwright update`"
        ) from error


def write_lock(path: Path, locks: Mapping[str, LockedTier]) -> None:
    """Write a lock file in one step. Equal images give equal bytes.

    Raises:
        ChainError: The file cannot be written; it is unchanged.
    """
    values = {str(tier): _without_unset(json.loads(encode(locked))) for tier, locked in locks.items()}
    text = yaml.safe_dump(values, default_flow_style=False, allow_unicode=True, sort_keys=True, width=_LARGEST)
    try:
        write_durably(path, _HEADER + text)
        path.chmod(_READABLE)
    except OSError as error:
        raise ChainError(f"{path} cannot be written: {error.strerror}; it is unchanged") from error


def find_locked(path: Path, locks: Mapping[str, LockedTier], tier: Tier) -> LockedTier:
    """Return the image that a followed tier stands for.

    Args:
        path: The lock file, for messages.
        locks: Its content.
        tier: A tier that follows an image.

    Raises:
        ChainError: The lock file has no image for the tier, or that of a different image, tag or tier.
    """
    follow, locked = tier.followed, locks.get(tier.name)
    if follow is None:
        raise ChainError(f"tier {tier.name!r} follows no image, so {path} cannot name one")
    advice = f"run `tierwright update {tier.name}`"
    if locked is None:
        raise ChainError(
            f"tier {tier.name!r} follows {follow.reference}, but {path.name} has no digest for it ({path}); {advice}"
        )
    if (locked.image, locked.tag) != (follow.image, follow.tag):
        raise ChainError(
            f"tier {tier.name!r} follows {follow.reference}, but {path} has the digest of {locked.image}:{locked.tag}; "
            f"{advice}"
        )
    check_tier_name(tier.name, locked.reference, locked.tier)
    return locked


def check_tier_name(name: str, image: str, published: str) -> None:
    """Check that a tier has the name under which its image was published.

    Args:
        name: The tier's name in the inventory.
        image: The image that it follows.
        published: The name in the image's labels.

    Raises:
        ChainError: The names differ. Labels, contracts and protected paths would name a tier that is not there.
    """
    if name != published:
        raise ChainError(
            f"tier {name!r} follows {image}, which was published as tier {published!r}; use the same name: rename the "
            f"host {name!r} of the inventory to {published!r}"
        )


def _parse(content: bytes) -> dict[str, LockedTier]:
    values = read_strict_yaml(content, _LARGEST)
    locks = decode(json.dumps(values or {}), dict[str, LockedTier], exact=True)
    for problem in _problems(locks):
        raise ValueError(problem)
    return locks


def _problems(locks: Mapping[str, LockedTier]) -> Iterator[str]:
    for name, locked in locks.items():
        digests = {"digest": locked.digest, "config": locked.config}
        if locked.attachment is not None:
            digests["attachment"] = locked.attachment
        yield from _wrong_values(name, locked.image, digests, (name, locked.tier, locked.team, locked.chain))
        if not is_tag(locked.tag):
            yield f"{name}.tag is {locked.tag!r}; expected a tag"
        for number, ancestor in enumerate(locked.ancestors):
            digests = {"digest": ancestor.digest, "attachment": ancestor.attachment}
            owner = (ancestor.tier, ancestor.team)
            yield from _wrong_values(f"{name}.ancestors[{number}]", ancestor.image, digests, owner)


def _wrong_values(where: str, image: str, digests: Mapping[str, str], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if not name or not name.isprintable():
            yield f"{where} has {name!r}; expected a name of one line"
    if not is_repository(image) or split_registry(image) is None:
        yield f"{where}.image is {image!r}; expected the host of a registry and a name there"
    for key, value in digests.items():
        if not is_digest(value):
            yield f"{where}.{key} is {value!r}; expected sha256: and 64 hexadecimal digits"


def _without_unset(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, [])}


def _describe(error: Exception) -> str:
    return " ".join(describe_error(error).split())
