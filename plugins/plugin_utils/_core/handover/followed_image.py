# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The image that a followed tier stands for: looked up in its registry, and brought into the engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import msgspec

from ..build_key.parts import content_tag
from ..chain import tags
from ..chain.names import split_registry
from ..chain.tier import Tier
from ..custody.custody_reader import identify_document
from ..custody.image_identity import identify
from ..engine.engine import Engine
from ..errors import ChainError, DamagedError, NotFoundError, SourceError, TierwrightError
from ..image import labels, platform
from ..layer.blob_sizes import remember_manifest
from ..plan.decision import Action, Decision
from ..transports.image import open_stack
from ..transports.registry_client import RegistryClient
from .attachments import Attachment, PublishedParent, find_attachment, read_attachment
from .download import download
from .image_check import ImageChecker
from .lock_file import LockedAncestor, LockedTier, check_tier_name
from .published_image import PublishedImage, open_published, read_published
from .upstream import upstream_ancestors

#: Returns a registry, by its host.
ConnectToRead = Callable[[str], RegistryClient]


class FollowedImage(msgspec.Struct, frozen=True):
    """An image of another team, with its attachment and those of its ancestors."""

    locked: LockedTier
    published: PublishedImage
    #: By tier: the image's own attachment first, then those of its ancestors, the nearest first.
    attachments: Mapping[str, Attachment]


def look_up(connect: ConnectToRead, tier: Tier) -> FollowedImage:
    """Ask the registry which image the followed tag names now.

    Args:
        connect: Returns a registry, by its host.
        tier: The followed tier.

    Raises:
        NotFoundError: The registry has no such tag, or an ancestor of the image is missing.
        ChainError: The image was published as a different tier, or not by Tierwright.
        DamagedError: A document has a different digest, or does not fit the image.
        EngineError: The registry rejected a request, or does not answer.
    """
    follow = tier.followed
    if follow is None:
        raise ChainError(f"tier {tier.name!r} follows no image")
    with _errors_of(tier, follow.reference):
        client, repository = _place(connect, follow.image)
        published = read_published(client, repository, follow.tag)
        if published is None:
            raise NotFoundError(
                f"{client.title} has no {repository}:{follow.tag}; check tier_follow, or ask the team to publish it"
            )
        found = published.document.labels
        last = published.document.steps[-1].tier if published.document.steps else None
        own = found.get(labels.TIER)
        team, chain = found.get(labels.TEAM, ""), found.get(labels.CHAIN, "")
        named = all(text and text.isprintable() for text in (team, chain))
        if not own or own != last or not named or not tags.is_content(content_tag(found.get(labels.KEY, ""))):
            raise ChainError(
                "this image was not published by Tierwright: it has no labels of its own; to use it as a base, set "
                f"tier_pull: {published.name}"
            )
        check_tier_name(tier.name, follow.reference, own)
        image = PublishedParent(follow.image, published.manifest)
        attachments, ancestors = _read_attachments(connect, published, image, (own, team, chain))
        _check_protections(found, attachments)
        locked = LockedTier(
            image=follow.image,
            tag=follow.tag,
            digest=published.manifest,
            config=published.document.id,
            tier=own,
            team=team,
            chain=chain,
            attachment=attachments[own].digest if own in attachments else None,
            ancestors=ancestors,
        )
        return FollowedImage(locked, published, attachments)


def check_update(checker: ImageChecker, tier: Tier, found: FollowedImage) -> None:
    """Check the image that a followed tag names now, before the lock file names it.

    Args:
        checker: Checks images.
        tier: The followed tier.
        found: The image.

    Raises:
        TrustError: The policy refuses it, or it is not the newest release.
        EngineError: A registry rejected a request, or does not answer.
    """
    locked = found.locked
    identity = identify_document(found.published.document, locked.reference, locked.digest)
    published = PublishedParent(locked.image, locked.digest)
    layers = partial(open_published, found.published)
    checker.check_published(identity, published, f"tier {tier.name!r} is not updated", layers, locked.tag)


def look_up_locked(connect: ConnectToRead, tier: Tier, locked: LockedTier) -> FollowedImage | None:
    """Read a locked image and its attachments; ``None`` if the registry does not have them any more.

    Raises:
        DamagedError: A document has a different digest.
        EngineError: The registry rejected a request, or does not answer.
    """
    with _errors_of(tier, locked.reference):
        client, repository = _place(connect, locked.image)
        published = read_published(client, repository, locked.digest)
        if published is None:
            return None
        attachments = {}
        named = [(locked.tier, locked.image, locked.digest, locked.attachment)]
        named += [(each.tier, each.image, each.digest, each.attachment) for each in locked.ancestors]
        try:
            for name, image, manifest, attachment in named:
                if attachment is not None:
                    attachments[name] = read_attachment(*_place(connect, image), manifest, attachment)
        except NotFoundError:
            return None
        return FollowedImage(locked, published, attachments)


def take_followed(
    engine: Engine,
    decisions: Collection[Decision],
    locked: Mapping[str, LockedTier],
    connect: ConnectToRead,
    say: Callable[[str], None],
    checker: ImageChecker,
) -> list[str]:
    """Check the followed images that a run needs. Those that the engine does not have are downloaded, and tagged.

    Args:
        engine: The engine.
        decisions: The decisions of the plan, parents before children.
        locked: The locked images, by tier.
        connect: Returns a registry, by its host.
        say: Called with lines about the progress.
        checker: Checks the images.

    Returns:
        The tiers whose images were downloaded.

    Raises:
        TrustError: The policy refuses an image. Nothing was downloaded.
        SourceError: The registry does not have a locked image any more, or it is for a different platform.
        DamagedError: An image is not the one that the lock file names.
        EngineError: The engine or a registry rejected a request, or does not answer.
    """
    lacking: list[Decision] = []
    images: list[PublishedImage] = []
    for decision in _needed(decisions):
        tier, wanted = decision.tier, locked[decision.tier.name]
        remember_manifest(wanted.config, wanted.digest)
        found = engine.images.find(decision.image or "")
        if found is None:
            published = read_locked(connect, tier, wanted)
            lacking.append(decision)
            images.append(published)
            identity = identify_document(published.document, wanted.reference, wanted.digest)
            layers = partial(open_published, published)
        else:
            identity = identify(found, wanted.reference, wanted.digest)
            layers = partial(open_stack, f"docker-daemon:{found.id}")
        place = PublishedParent(wanted.image, wanted.digest)
        checker.check_published(identity, place, f"tier {tier.name!r} is not used", layers)
    for decision, image in zip(lacking, download(engine, images, say), strict=True):
        tier, key = decision.tier, image.labels.get(labels.KEY, "")
        platform.check(engine, tier.name, locked[tier.name].reference, image)
        engine.images.tag(image.id, tier.image, content_tag(key))
    return [decision.tier.name for decision in lacking]


def _needed(decisions: Collection[Decision]) -> Iterator[Decision]:
    """Yield the decisions for the followed tiers whose images the run uses."""
    working = [each for each in decisions if each.action is Action.BUILD or each.untested]
    used = {name for each in working for name in (each.tier.parent, *each.tier.neighbours)}
    for decision in decisions:
        if decision.tier.followed and (decision.action is Action.KEEP or decision.tier.name in used):
            yield decision


def read_locked(connect: ConnectToRead, tier: Tier, locked: LockedTier) -> PublishedImage:
    """Read the manifest and the configuration of a locked image.

    Raises:
        SourceError: The registry does not have it any more.
        DamagedError: It is not the image that the lock file names.
        EngineError: The registry rejected the request, or does not answer.
    """
    with _errors_of(tier, locked.reference):
        client, repository = _place(connect, locked.image)
        published = read_published(client, repository, locked.digest)
        if published is None:
            raise SourceError(
                f"{client.title} does not have this image any more; run `tierwright update {tier.name}` for a newer one"
            )
        if published.document.id != locked.config or not tags.is_content(
            content_tag(published.document.labels.get(labels.KEY, ""))
        ):
            raise DamagedError(
                f"its configuration is {published.document.id}, but the lock file expects {locked.config}; get the "
                "lock file from Git again"
            )
        return published


def _read_attachments(
    connect: ConnectToRead, published: PublishedImage, image: PublishedParent, owner: tuple[str, str, str]
) -> tuple[dict[str, Attachment], tuple[LockedAncestor, ...]]:
    own = find_attachment(published.client, published.repository, published.manifest)
    if own is None:
        return {}, ()
    place = own.place
    if (place.tier, place.team, place.chain) != owner:
        raise DamagedError(
            f"its attachment {own.digest} is of tier {place.tier!r}, team {place.team!r}, chain {place.chain!r}, but "
            f"its labels name tier {owner[0]!r}, team {owner[1]!r}, chain {owner[2]!r}"
        )
    attachments, ancestors = {place.tier: own}, []
    for ancestor in upstream_ancestors(connect, image, own):
        place, attachment = ancestor.attachment.place, ancestor.attachment
        if place.tier in attachments:
            raise DamagedError(f"two tiers above it have the name {place.tier!r}")
        attachments[place.tier] = attachment
        parent = ancestor.image
        ancestors.append(LockedAncestor(place.tier, place.team, parent.image, parent.digest, attachment.digest))
    return attachments, tuple(ancestors)


def _check_protections(image_labels: Mapping[str, str], attachments: Mapping[str, Attachment]) -> None:
    """Check that the labels of an image have what its ancestors protect: its own team writes these labels."""
    known = {(each.tier, path) for each in labels.protections(image_labels) for path in each.paths}
    for name, attachment in attachments.items():
        if lacking := [path for path in attachment.place.protects if (name, path) not in known]:
            raise DamagedError(
                f"its labels lack paths that tier {name!r} of team {attachment.place.team} protects "
                f"({', '.join(f'/{path}' for path in lacking)}); ask its team to build and publish it again"
            )


def _place(connect: ConnectToRead, image: str) -> tuple[RegistryClient, str]:
    host, repository = split_registry(image) or ("", image)
    return connect(host), repository


@contextmanager
def _errors_of(tier: Tier, reference: str) -> Iterator[None]:
    """Name the tier and what it follows in each error."""
    start = f"tier {tier.name!r}"
    try:
        yield
    except TierwrightError as error:
        if str(error).startswith(start):
            raise
        raise type(error)(f"{start} follows {reference}: {error}") from error
