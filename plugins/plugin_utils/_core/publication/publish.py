# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Publishes the released images of a chain: first all images, then all tags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from ..chain import tags
from ..chain.graph import Chain
from ..chain.names import split_registry
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import Names
from ..errors import RunError
from ..plan.decision import find_own
from .registry_tags import Connect, RegistryMove
from .upload import upload


@dataclass(frozen=True, slots=True)
class PublishedTier:
    """The released image of a tier, in its registry."""

    tier: Tier
    #: Digest of the image's manifest.
    manifest: str
    #: Bytes that were sent; 0 if the registry had the image.
    sent: int
    #: The tags that have to move.
    moves: tuple[RegistryMove, ...]


def publish_images(
    engine: Engine,
    chain: Chain,
    selected: Collection[str],
    names: Names,
    connect: Connect,
    say: Callable[[str], None],
) -> list[PublishedTier]:
    """Bring the released images of the selected tiers into their registries. No tag moves.

    Args:
        engine: The engine.
        chain: The chain.
        selected: Names of the tiers.
        names: The image names on the engine.
        connect: Returns a registry, by its host.
        say: Called with lines to print.

    Returns:
        The published tiers, parents before children.

    Raises:
        RunError: No selected tier has a registry in its image name, or a selected tier was never released.
        EngineError: The engine or a registry rejected a request, or does not answer.
    """
    targets = [tier for tier in chain if tier.name in selected and split_registry(tier.image)]
    if not targets:
        raise RunError(
            f"no selected tier names a registry in tier_image ({', '.join(selected)}); expected a name such as "
            "tier_image: registry.example.org/operations/corebuild"
        )
    if others := [name for name in selected if name not in {tier.name for tier in targets}]:
        say(f"not published, because tier_image names no registry: {', '.join(others)}")
    return [_publish(engine, chain, tier, names, connect, say) for tier in targets]


def _publish(
    engine: Engine, chain: Chain, tier: Tier, names: Names, connect: Connect, say: Callable[[str], None]
) -> PublishedTier:
    host, repository = split_registry(tier.image) or ("", "")
    image = find_own(engine.images.find, tier, tier.release)
    if image is None:
        raise RunError(
            f"tier {tier.name!r} cannot be published: there is no released image {tier.release}; build it first"
        )
    registry = connect(host)
    current = registry.image_at(repository, tier.tag)
    if current is not None and current[1] == image.id:
        manifest, sent = current[0], 0
    else:
        say(f"publishing tier {tier.name!r} as {tier.release}")
        sources = list(_repositories(chain, tier, host))
        done = upload(engine, image, registry, repository, sources=sources, say=say)
        manifest, sent = done.manifest, done.sent
    moves = []
    for tag in (*_newest_release(names, tier, image.id), tier.tag):
        named = current if tag == tier.tag else registry.image_at(repository, tag)
        before = named[0] if named else None
        if before != manifest:
            moves.append(RegistryMove(host, repository, tag, before, manifest))
    return PublishedTier(tier, manifest, sent, tuple(moves))


def _repositories(chain: Chain, tier: Tier, host: str) -> Iterator[str]:
    """Yield the repositories of its ancestors in the same registry: they have its lower layers."""
    for name in chain.ancestors(tier.name):
        place = split_registry(chain[name].image)
        if place and place[0] == host:
            yield place[1]


def _newest_release(names: Names, tier: Tier, image: str) -> list[str]:
    named = names.get(tier.image, {})
    return sorted(tag for tag, identifier in named.items() if identifier == image and tags.is_release(tag))[-1:]
