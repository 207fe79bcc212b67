# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The history of an image, and which images are a chain's own.

The history of an image: one entry for each tier, and what a pulled base brings along.

Which images on an engine are a chain's own, and what each of them adds.

Labels are inherited: what somebody builds on a tier's image, with a Dockerfile or a commit, carries the tier's labels.
Whoever does so puts an entry on top of the image's history, and ours is on top of ours only. Nor does a label say whose
chain it is, where two have one name: a chain owns what lies in the repositories of its tiers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import HistoryEntry, Names
from . import labels

Entry = dict[str, Any]

_OWNER = "team "
_MAKER = "tierwright: tier {}: "

#: Time of what has none of its own: the year 2000. What is older than 1980 has no place in a zip archive.
EARLIEST = 946_684_800


def history_entry(tier: Tier, created: str, doing: str) -> Entry:
    """The entry of ``tier``'s own layer: who made it, and how.

    The owner stands in ``author`` and, because engines do not show authors, in ``comment`` as well. What the tier's
    build container was allowed beyond the usual stands in ``created_by``.
    """
    return {
        "author": tier.team,
        "comment": _OWNER + tier.team,
        "created": created,
        "created_by": _MAKER.format(tier.name) + doing + _asked(tier),
    }


def is_entry_of(created_by: str, tier: str) -> bool:
    """Say whether an entry, by what it says made it, is that of ``tier``'s own layer."""
    return created_by.startswith(_MAKER.format(tier))


def _asked(tier: Tier) -> str:
    return f", with {tier.cage.asked}" if tier.role and tier.cage.asked else ""


def history_of(engine: Engine, image: str, layers: int) -> list[Entry]:
    """Read an image's history back from the engine, oldest first.

    The engine does not tell which entries made no layer, only each one's size. As many entries as there are
    ``layers`` are taken to have made one, the larger before the smaller.
    """
    steps = engine.images.history(image)[::-1]
    made = _with_layers([each.size for each in steps], layers)
    return [_entry(each, layer=index in made) for index, each in enumerate(steps)]


def _with_layers(sizes: Sequence[int], layers: int) -> set[int]:
    by_size = sorted(range(len(sizes)), key=lambda index: sizes[index], reverse=True)
    return set(by_size[:layers])


def _entry(step: HistoryEntry, *, layer: bool) -> Entry:
    found = {
        "author": step.comment.removeprefix(_OWNER) if step.comment.startswith(_OWNER) else "",
        "comment": step.comment,
        "created": timestamp(step.created),
        "created_by": step.created_by,
        "empty_layer": not layer,
    }
    return {key: value for key, value in found.items() if value}


def timestamp(seconds: int) -> str:
    """RFC 3339 time of ``seconds`` since 1970, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


#: Repositories of a tier's images, by the tier's name; more than one where the tier had another one before.
Repositories = Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Own:
    """An image that this project made."""

    #: Its ID.
    id: str
    #: The tier that it is of.
    tier: str
    #: Bytes of the tier's own layer.
    size: int


def images_of_chain(engine: Engine, chain: str, owned: Repositories, names: Names) -> list[Own]:
    """List the images that are a chain's own: of one of its tiers, and in that tier's repository.

    Of one that has no name, nothing but a label says whose it is.

    Args:
        engine: The engine.
        chain: The chain's name.
        owned: The repositories of its tiers.
        names: All names on the engine.

    Raises:
        EngineError: The engine refused.
    """
    listed = engine.images.labelled(f"{labels.CHAIN}={chain}")

    def lies_there(image: str) -> bool:
        repositories = owned.get(listed[image].get(labels.TIER, ""), ())
        return any(image in names.get(each, {}).values() for each in repositories)

    return _own(engine, {image: said for image, said in listed.items() if lies_there(image)})


def claimed(engine: Engine, chain: str, names: Names) -> Iterator[str]:
    """Yield the tiers that have named images which say that they are of ``chain``, whosever that is.

    Returns:
        Names of tiers and of their images' repositories, with a space between.

    Raises:
        EngineError: The engine refused.
    """
    said = engine.images.labelled(f"{labels.CHAIN}={chain}")
    ours = {each.id: each.tier for each in _own(engine, said)} if said else {}
    for repository, tags in names.items():
        for tier in {ours[image] for image in tags.values() if image in ours}:
            yield f"{tier} {repository}"


def _own(engine: Engine, listed: Mapping[str, Mapping[str, str]]) -> list[Own]:
    found = []
    for image, said in listed.items():
        newest = engine.images.newest_step(image)
        if newest is not None and is_entry_of(newest.created_by, said.get(labels.TIER, "")):
            found.append(Own(image, said[labels.TIER], newest.size))
    return found


def parents(engine: Engine) -> dict[str, str]:
    """List what images stand on: the parent's ID by the image's, of every image of any chain.

    Raises:
        EngineError: The engine refused.
    """
    return {image: said[labels.PARENT] for image, said in engine.images.labelled(labels.PARENT).items()}


def freed(engine: Engine, removed: Sequence[Own]) -> int:
    """Bytes that removing images frees: their own layers, as far as no other image has them.

    Raises:
        EngineError: The engine refused.
    """
    going = {each.id: each.size for each in removed}
    sizes: dict[tuple[str, ...], int] = {}
    kept: set[tuple[str, ...]] = set()
    for identifier in engine.images.everything():
        image = engine.images.find(identifier)
        if image is None:
            continue
        if identifier in going:
            sizes[image.layers] = going[identifier]
        else:
            kept.update(image.layers[:count] for count in range(1, len(image.layers) + 1))
    return sum(size for layers, size in sizes.items() if layers not in kept)
