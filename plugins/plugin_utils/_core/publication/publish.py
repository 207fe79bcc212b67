# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings images of a chain into their registries. Tags move later, after all images are there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from ..chain import tags
from ..chain.graph import Chain
from ..chain.names import split_registry
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import Image, Names
from ..errors import RunError, errors_of
from ..handover.shared_cache import sources_tag
from ..image import labels
from ..text import size
from ..transports.registry_writer import RegistryWriter
from .registry_tags import Connect, RegistryMove
from .upload import upload

#: Finds the image of a tier that is published, on the engine; ``None`` if there is none.
FindImage = Callable[[Tier], Image | None]

#: Chooses the tags that an image gets in its registry. The last one is the tag that others follow.
ChooseTags = Callable[[Tier, Image], Sequence[str]]


class Difference(msgspec.Struct, frozen=True):
    """An image of a tier, compared with what a tag names in its registry."""

    tier: Tier
    #: Host of the registry, and the repository's name there.
    host: str
    repository: str
    #: The image, on the engine.
    image: Image
    #: The tags that the image gets.
    tags: tuple[str, ...]
    #: The manifest that the last tag names in the registry; ``None`` if there is no such tag.
    named: str | None
    #: Whether this is the manifest of the image.
    is_published: bool


class PublishedTier(msgspec.Struct, frozen=True):
    """An image of a tier, in its registry."""

    tier: Tier
    #: The image, on the engine.
    image: Image
    #: Digest of the image's manifest.
    manifest: str
    #: Bytes that were sent; 0 if the registry had the image.
    sent: int
    #: The tags that have to move.
    moves: tuple[RegistryMove, ...]


def choose_targets(chain: Chain, selected: Collection[str], say: Callable[[str], None]) -> list[Tier]:
    """Choose the tiers that this chain publishes: those that have a registry in their image name.

    Raises:
        RunError: No selected tier has one.
    """
    own = [tier for tier in chain if tier.name in selected and tier.followed is None]
    targets = [tier for tier in own if tier.is_publishable]
    if not targets:
        raise RunError(
            f"no selected tier names a registry in tier_image ({', '.join(selected)}); expected a name such as "
            "tier_image: registry.example.org/operations/corebuild"
        )
    if others := [tier.name for tier in own if tier not in targets]:
        say(f"not published, because tier_image names no registry: {', '.join(others)}")
    if followed := [tier.name for tier in chain if tier.name in selected and tier.followed is not None]:
        say(f"not published, because other teams publish them: {', '.join(followed)}")
    return targets


def compare_images(
    targets: Sequence[Tier], find_image: FindImage, choose_tags: ChooseTags, connect: Connect
) -> list[Difference]:
    """Compare images with those in their registries.

    Args:
        targets: The tiers, from :func:`choose_targets`.
        find_image: Finds their images.
        choose_tags: Chooses their tags.
        connect: Returns a registry, by its host.

    Returns:
        One comparison for each tier, in the same order.

    Raises:
        RunError: A tier has no image.
        EngineError: A registry rejected a request, or does not answer.
    """
    differences = []
    for tier in targets:
        with errors_of(f"tier {tier.name!r}"):
            differences.append(_compare(tier, find_image(tier), choose_tags, connect))
    return differences


def _compare(tier: Tier, image: Image | None, choose_tags: ChooseTags, connect: Connect) -> Difference:
    host, repository = split_registry(tier.image) or ("", "")
    if image is None:
        raise RunError(f"it cannot be published, because there is no released image {tier.release}; build it first")
    chosen = tuple(choose_tags(tier, image))
    manifest, config = connect(host).image_at(repository, chosen[-1]) or (None, None)
    return Difference(tier, host, repository, image, chosen, manifest, config == image.id)


def publish_images(
    engine: Engine, chain: Chain, differences: Collection[Difference], connect: Connect, say: Callable[[str], None]
) -> list[PublishedTier]:
    """Bring images of tiers into their registries. No tag moves.

    Args:
        engine: The engine.
        chain: The chain.
        differences: The result of :func:`compare_images`.
        connect: Returns a registry, by its host.
        say: Called with lines to print.

    Returns:
        The published tiers, in the same order.

    Raises:
        EngineError: The engine or a registry rejected a request, or does not answer.
    """
    published = []
    for each in differences:
        with errors_of(f"tier {each.tier.name!r}"):
            published.append(_publish(engine, chain, each, connect(each.host), say))
    return published


def _publish(
    engine: Engine, chain: Chain, difference: Difference, registry: RegistryWriter, say: Callable[[str], None]
) -> PublishedTier:
    tier, sent, (*others, last) = difference.tier, 0, difference.tags
    # Read before the upload: a tag that somebody else moves meanwhile stays there.
    before = {**_read_tags(registry, tier, others), last: difference.named}
    if difference.is_published and difference.named is not None:
        manifest = difference.named
    else:
        say(f"publishing tier {tier.name!r} as {tier.image}:{last}")
        sources = list(_repositories(chain, tier, difference.host))
        done = upload(engine, difference.image, registry, difference.repository, sources=sources, say=say)
        manifest, sent = done.manifest, done.sent
    return PublishedTier(tier, difference.image, manifest, sent, tuple(_moves(tier, before, manifest)))


def find_moves(registry: RegistryWriter, tier: Tier, wanted: Iterable[str], manifest: str) -> list[RegistryMove]:
    """Return the moves of those tags of a tier that do not name a manifest yet."""
    return list(_moves(tier, _read_tags(registry, tier, wanted), manifest))


def _read_tags(registry: RegistryWriter, tier: Tier, wanted: Iterable[str]) -> dict[str, str | None]:
    """Return the digests of the manifests that tags name now."""
    _host, repository = split_registry(tier.image) or ("", "")
    named = {tag: registry.image_at(repository, tag) for tag in wanted}
    return {tag: image[0] if image else None for tag, image in named.items()}


def _moves(tier: Tier, before: Mapping[str, str | None], manifest: str) -> Iterator[RegistryMove]:
    host, repository = split_registry(tier.image) or ("", "")
    for tag, named in before.items():
        if named != manifest:
            yield RegistryMove(host, repository, tag, named, manifest, tier.name)


def _repositories(chain: Chain, tier: Tier, host: str) -> Iterator[str]:
    """Yield the repositories of its ancestors in the same registry: they have its lower layers."""
    for name in chain.ancestors(tier.name):
        place = split_registry(chain[name].published_image)
        if place and place[0] == host:
            yield place[1]


def release_tags(names: Names, *, cache: bool) -> ChooseTags:
    """Return a function that chooses the tags of released images.

    Args:
        names: The image names on the engine.
        cache: Whether the images get the tags of the shared cache, too.
    """

    def choose(tier: Tier, image: Image) -> Sequence[str]:
        own_tags = sorted(tag for tag, identifier in names.get(tier.image, {}).items() if identifier == image.id)
        parts = labels.stored_parts(image.labels, tier.name)
        shared = []
        if cache and parts is not None:
            shared = [tag for tag in own_tags if tags.is_content(tag) or tags.is_tested(tag)] + [sources_tag(parts)]
        return [*list(filter(tags.is_release, own_tags))[-1:], *shared, tier.tag]

    return choose


def cache_tags(names: Names) -> ChooseTags:
    """Return a function that chooses the tags of the shared cache only, so that no release moves.

    Args:
        names: The image names on the engine.
    """
    choose_all = release_tags(names, cache=True)

    def choose(tier: Tier, image: Image) -> Sequence[str]:
        shared = [tag for tag in choose_all(tier, image) if tag != tier.tag and not tags.is_release(tag)]
        if not shared:
            raise RunError(f"{tier.release} has no build key in its labels, so it cannot be in the shared cache")
        return shared

    return choose


def show_published(published: Sequence[PublishedTier], choose_tags: ChooseTags, say: Callable[[str], None]) -> None:
    """Print a line for each published tier."""
    width = max((len(each.tier.name) for each in published), default=0)
    for each in published:
        result = "published" if each.moves else "published before"
        sent = f", {size(each.sent)} sent" if each.sent else ""
        name = f"{each.tier.image}:{choose_tags(each.tier, each.image)[-1]}"
        say(f"{each.tier.name:{width}}  {name}  {each.manifest[:19]}  {result}{sent}")
