# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Publishes the released images of a chain: first all images, then all tags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from ..chain import tags
from ..chain.graph import Chain
from ..chain.names import split_registry
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import Image, Names
from ..errors import RunError, errors_of
from ..handover.shared_cache import sources_tag
from ..image import labels
from ..plan.own_images import find_own
from .registry_tags import Connect, RegistryMove
from .upload import upload


@dataclass(frozen=True, slots=True)
class Difference:
    """The released image of a tier, compared with what its release tag names in the registry."""

    tier: Tier
    #: Host of the registry, and the repository's name there.
    host: str
    repository: str
    #: The released image, on the engine.
    image: Image
    #: The manifest that the release tag names in the registry; ``None`` if there is no such tag.
    named: str | None
    #: Whether this is the manifest of the released image.
    is_published: bool


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


def compare_images(
    engine: Engine, chain: Chain, selected: Collection[str], connect: Connect, say: Callable[[str], None]
) -> list[Difference]:
    """Compare the released images of the selected tiers with those in their registries.

    Args:
        engine: The engine.
        chain: The chain.
        selected: Names of the tiers.
        connect: Returns a registry, by its host.
        say: Called with lines to print.

    Returns:
        One comparison for each tier that has a registry in its image name, parents before children.

    Raises:
        RunError: No selected tier has a registry in its image name, or a selected tier was never released.
        EngineError: The engine or a registry rejected a request, or does not answer.
    """
    own = [tier for tier in chain if tier.name in selected and tier.followed is None]
    targets = [(tier, place) for tier in own if (place := split_registry(tier.image))]
    if not targets:
        raise RunError(
            f"no selected tier names a registry in tier_image ({', '.join(selected)}); expected a name such as "
            "tier_image: registry.example.org/operations/corebuild"
        )
    if others := [tier.name for tier in own if split_registry(tier.image) is None]:
        say(f"not published, because tier_image names no registry: {', '.join(others)}")
    if followed := [tier.name for tier in chain if tier.name in selected and tier.followed is not None]:
        say(f"not published, because other teams publish them: {', '.join(followed)}")
    differences = []
    for tier, place in targets:
        with errors_of(f"tier {tier.name!r}"):
            differences.append(_compare(engine, tier, *place, connect))
    return differences


def _compare(engine: Engine, tier: Tier, host: str, repository: str, connect: Connect) -> Difference:
    image = find_own(engine.images.find, tier, tier.release)
    if image is None:
        raise RunError(f"it cannot be published, because there is no released image {tier.release}; build it first")
    named = connect(host).image_at(repository, tier.tag)
    manifest, config = named or (None, None)
    return Difference(tier, host, repository, image, manifest, config == image.id)


def publish_images(
    engine: Engine,
    chain: Chain,
    differences: Collection[Difference],
    names: Names,
    connect: Connect,
    say: Callable[[str], None],
    *,
    cache: bool,
) -> list[PublishedTier]:
    """Bring the released images of tiers into their registries. No tag moves.

    Args:
        engine: The engine.
        chain: The chain.
        differences: The result of :func:`compare_images`.
        names: The image names on the engine.
        connect: Returns a registry, by its host.
        say: Called with lines to print.
        cache: Whether the tags of the shared cache are published, too.

    Returns:
        The published tiers, in the same order.

    Raises:
        EngineError: The engine or a registry rejected a request, or does not answer.
    """
    published = []
    for each in differences:
        with errors_of(f"tier {each.tier.name!r}"):
            published.append(_publish(engine, chain, each, names, connect, say, cache=cache))
    return published


def _publish(
    engine: Engine,
    chain: Chain,
    difference: Difference,
    names: Names,
    connect: Connect,
    say: Callable[[str], None],
    *,
    cache: bool,
) -> PublishedTier:
    host, repository, tier, image = difference.host, difference.repository, difference.tier, difference.image
    registry, sent = connect(host), 0
    if difference.is_published and difference.named is not None:
        manifest = difference.named
    else:
        say(f"publishing tier {tier.name!r} as {tier.release}")
        sources = list(_repositories(chain, tier, host))
        done = upload(engine, image, registry, repository, sources=sources, say=say)
        manifest, sent = done.manifest, done.sent
    moves = []
    for tag in _tags(tier, image, names.get(tier.image, {}), cache=cache):
        if tag == tier.tag:
            before = difference.named  # if it moved during the upload, it does not move now
        else:
            before = now[0] if (now := registry.image_at(repository, tag)) else None
        if before != manifest:
            moves.append(RegistryMove(host, repository, tag, before, manifest, tier.name))
    return PublishedTier(tier, manifest, sent, tuple(moves))


def _repositories(chain: Chain, tier: Tier, host: str) -> Iterator[str]:
    """Yield the repositories of its ancestors in the same registry: they have its lower layers."""
    for name in chain.ancestors(tier.name):
        place = split_registry(chain[name].image)
        if place and place[0] == host:
            yield place[1]


def _tags(tier: Tier, image: Image, named: Mapping[str, str], *, cache: bool) -> Iterator[str]:
    """Yield the tags of an image in the registry; its release tag is the last one, which others follow."""
    own_tags = sorted(tag for tag, identifier in named.items() if identifier == image.id)
    yield from list(filter(tags.is_release, own_tags))[-1:]
    parts = labels.stored_parts(image.labels, tier.name)
    if cache and parts is not None:
        yield from (tag for tag in own_tags if tags.is_content(tag) or tags.is_tested(tag))
        yield sources_tag(parts)
    yield tier.tag
