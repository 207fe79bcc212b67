# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which images on an engine are a chain's own, and what each of them adds.

Labels are inherited: what somebody builds on a tier's image, with a Dockerfile or a commit, carries the tier's labels.
Whoever does so puts an entry on top of the image's history, and ours is on top of ours only. Nor does a label say whose
chain it is, where two have one name: a chain owns what lies in the repositories of its tiers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..engine.engine import Engine
from ..engine.snapshot import Names
from . import history, labels

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


def of_chain(engine: Engine, chain: str, owned: Repositories, names: Names) -> list[Own]:
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
        if newest is not None and history.is_of(newest.created_by, said.get(labels.TIER, "")):
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
