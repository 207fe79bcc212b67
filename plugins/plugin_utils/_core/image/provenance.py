# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The history of an image, and the images that belong to a chain.

The history has one entry for each tier, after the entries of a pulled base.

Images inherit labels. An image that a user builds on a tier's image, with a Dockerfile or a commit, also has the tier's
labels. But then the last entry of its history is not ours. Labels do not distinguish two chains with the same name
either. Therefore a chain owns only the images in the repositories of its tiers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import HistoryEntry, Names
from . import labels

Entry = dict[str, Any]

_OWNER = "team "
_MAKER = "tierwright: tier {}: "

#: Time for images without a time of their own: the year 2000. (A zip archive cannot store times before 1980.)
EARLIEST = 946_684_800


def history_entry(tier: Tier, created: str, doing: str) -> Entry:
    """Return the history entry of ``tier``'s own layer.

    The owner is in ``author``, and also in ``comment``, because engines do not show authors. ``created_by`` contains
    ``doing`` (how the layer was made), and the additional permissions of the tier's build container.
    """
    return {
        "author": tier.team,
        "comment": _OWNER + tier.team,
        "created": created,
        "created_by": _MAKER.format(tier.name) + doing + _permissions(tier),
    }


def is_entry_of(created_by: str, tier: str) -> bool:
    """Tell from the ``created_by`` of a history entry whether it belongs to ``tier``'s own layer."""
    return created_by.startswith(_MAKER.format(tier))


def _permissions(tier: Tier) -> str:
    return f", with {tier.cage.additions}" if tier.role and tier.cage.additions else ""


def history_of(engine: Engine, image: str, layers: int) -> list[Entry]:
    """Read an image's history from the engine, oldest entry first.

    The engine reports the size of each entry, but not which entries have a layer. The largest entries, as many as there
    are ``layers``, are assumed to have one.
    """
    steps = engine.images.history(image)[::-1]
    with_layer = _with_layers([step.size for step in steps], layers)
    return [_entry(step, layer=index in with_layer) for index, step in enumerate(steps)]


def _with_layers(sizes: Sequence[int], layers: int) -> set[int]:
    by_size = sorted(range(len(sizes)), key=lambda index: sizes[index], reverse=True)
    return set(by_size[:layers])


def _entry(step: HistoryEntry, *, layer: bool) -> Entry:
    entry = {
        "author": step.comment.removeprefix(_OWNER) if step.comment.startswith(_OWNER) else "",
        "comment": step.comment,
        "created": timestamp(step.created),
        "created_by": step.created_by,
        "empty_layer": not layer,
    }
    return {key: value for key, value in entry.items() if value}


def timestamp(seconds: int) -> str:
    """Return the RFC 3339 time of ``seconds`` since 1970, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


#: Repositories of a tier's images, by the tier's name; more than one if the tier's repository was changed.
Repositories = Mapping[str, Collection[str]]


class ChainImage(msgspec.Struct, frozen=True):
    """An image that Tierwright made."""

    #: Its ID.
    id: str
    #: The tier that it belongs to.
    tier: str
    #: Size of the tier's own layer in bytes.
    size: int


def images_of_chain(engine: Engine, chain: str, owned: Repositories, names: Names) -> list[ChainImage]:
    """List the images of a chain: they belong to one of its tiers, and have a name in the tier's repository.

    Images without a name are not listed: for them, only the label would show which chain they belong to.

    Args:
        engine: The engine.
        chain: The chain's name.
        owned: The repositories of its tiers.
        names: All names on the engine.

    Raises:
        EngineError: The engine rejected a request.
    """
    labels_of = engine.images.labelled(f"{labels.CHAIN}={chain}")

    def is_in_repository(image: str) -> bool:
        repositories = owned.get(labels_of[image].get(labels.TIER, ""), ())
        return any(image in names.get(repository, {}).values() for repository in repositories)

    return _with_own_history(
        engine, {image: image_labels for image, image_labels in labels_of.items() if is_in_repository(image)}
    )


def images_of_tier(engine: Engine, tier: str, named: Mapping[str, str]) -> list[ChainImage]:
    """List the images of a tier in one repository, whichever chain made them.

    Args:
        engine: The engine.
        tier: The tier's name.
        named: Image IDs by tag, in the repository.

    Raises:
        EngineError: The engine rejected a request.
    """
    labels_of = engine.images.labelled(f"{labels.TIER}={tier}") if named else {}
    in_repository = set(named.values())
    return _with_own_history(engine, {image: of for image, of in labels_of.items() if image in in_repository})


def labelled_repositories(engine: Engine, chain: str, names: Names) -> Iterator[str]:
    """Yield the repositories with images whose label names ``chain``, for any chain with this name.

    Yields:
        The name of a tier and the repository of its images, separated by a space.

    Raises:
        EngineError: The engine rejected a request.
    """
    labels_of = engine.images.labelled(f"{labels.CHAIN}={chain}")
    tier_of = {image.id: image.tier for image in _with_own_history(engine, labels_of)} if labels_of else {}
    for repository, tags in names.items():
        for tier in {tier_of[image] for image in tags.values() if image in tier_of}:
            yield f"{tier} {repository}"


def _with_own_history(engine: Engine, labels_of: Mapping[str, Mapping[str, str]]) -> list[ChainImage]:
    """Select the images that Tierwright made: the newest entry of their history is that of their tier."""
    made = []
    for image, image_labels in labels_of.items():
        newest = engine.images.newest_step(image)
        if newest is not None and is_entry_of(newest.created_by, image_labels.get(labels.TIER, "")):
            made.append(ChainImage(image, image_labels[labels.TIER], newest.size))
    return made


def parents(engine: Engine) -> dict[str, str]:
    """Return the ID of the parent's image by the ID of the image, for all images of all chains on the engine.

    Raises:
        EngineError: The engine rejected a request.
    """
    return {image: image_labels[labels.PARENT] for image, image_labels in engine.images.labelled(labels.PARENT).items()}


def freed(engine: Engine, removed: Sequence[ChainImage]) -> int:
    """Return the number of bytes that removing images frees: their own layers, unless a different image uses them.

    Raises:
        EngineError: The engine rejected a request.
    """
    removed_sizes = {image.id: image.size for image in removed}
    sizes: dict[tuple[str, ...], int] = {}
    kept: set[tuple[str, ...]] = set()
    for identifier in engine.images.all_ids():
        image = engine.images.find(identifier)
        if image is None:
            continue
        if identifier in removed_sizes:
            sizes[image.layers] = removed_sizes[identifier]
        else:
            kept.update(image.layers[:count] for count in range(1, len(image.layers) + 1))
    return sum(size for layers, size in sizes.items() if layers not in kept)
