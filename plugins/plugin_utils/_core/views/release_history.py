# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists the releases of a tier, and why each release was built."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..build_key.rebuild_reasons import differences
from ..chain import tags
from ..chain.names import familiar_name
from ..chain.tags import is_lasting
from ..engine.image_catalogue import ContainerImage
from ..errors import NotFoundError, UsageError
from ..image import labels
from ..layer_index.index import Store
from ..plan.dry_run import Now
from ..transports.containers import container_source, repository_of
from ..transports.image_document import Document, timestamp
from ..transports.transport import CONTAINER, HeldImage, open_place, split


class Release(msgspec.Struct, frozen=True):
    """One release, or an image that was built and has no release tag."""

    #: ID of the image.
    image: str
    names: list[str]
    #: The tag ``release-…``; ``null`` if the image has no such tag.
    tag: str | None
    #: RFC 3339 time of the release; without a release tag, the ``created`` time of the image.
    when: str | None
    tier: str
    team: str | None
    role: str | None
    #: The last commit that changed the role; ``null`` if the image does not record it.
    revision: str | None
    #: Whether a release tag such as ``latest`` names it now.
    current: bool
    #: Whether the container that the question named runs it.
    deployed: bool
    #: What changed since the release before; ``null`` if one of the two images does not record its key parts.
    reasons: list[str] | None


class History(msgspec.Struct, frozen=True):
    """The answer to ``tierwright history``."""

    tier: str
    #: Oldest first.
    releases: list[Release]


class Why(msgspec.Struct, frozen=True):
    """The answer to ``tierwright why``."""

    tier: str
    team: str | None
    #: The current release; ``null`` if the question was what a run would do now.
    release: Release | None
    #: The release before it; ``null`` if there is none, or if the question was what a run would do now.
    before: Release | None
    #: What differs between the two; ``null`` if one of the images does not record its key parts.
    reasons: list[str] | None
    #: What a run would do now; ``null`` if the question was about the current release.
    now: Now | None


def history(name: str, store: Store) -> History:
    """Find the releases of a tier.

    Args:
        name: The tier, or the repository of its images. A prefix names a place other than the engine
            (:mod:`..transports.transport`). A container stands for the repository that its image came from.
        store: The cache.

    Raises:
        NotFoundError: The tier has no image.
        UsageError: The name has a wrong form, or several chains have a tier of this name.
        TierwrightError: As the methods of :class:`..transports.transport.Place` raise it.
    """
    kind, _location, reference = split(name)
    if kind != CONTAINER:
        return list_releases(*_of_tier(name, store))
    source = container_source(reference)
    repository = repository_of(source) or _repository_in_engine(source, store)
    return list_releases(*_of_tier(repository, store), deployed=source.image)


def list_releases(tier: str, held: list[HeldImage], deployed: str | None = None) -> History:
    """List the releases of a tier.

    Args:
        tier: Its name.
        held: All its images.
        deployed: ID of the image that a container runs.
    """
    events = sorted(_events(held), key=lambda event: (event[0], event[1].document.id))
    releases: list[Release] = []
    before: Document | None = None
    for when, each, tag in events:
        releases.append(_release(when, each.document, tag, before, deployed))
        before = each.document
    return History(tier, releases)


def why(name: str, store: Store) -> Why:
    """Find out why the current image of a tier was built, or the image that a container runs.

    Arguments and errors are those of :func:`history`.
    """
    found = history(name, store)
    releases = found.releases
    deployed = [number for number, release in enumerate(releases) if release.deployed]
    current = [number for number, release in enumerate(releases) if release.current]
    number = max(deployed or current, default=len(releases) - 1)
    release = releases[number]
    return Why(found.tier, release.team, release, releases[number - 1] if number else None, release.reasons, None)


def _of_tier(name: str, store: Store) -> tuple[str, list[HeldImage]]:
    kind, location, reference = split(name)
    if not reference:
        raise UsageError(f"{name!r} does not name a tier; expected {name}:TIER")
    place = open_place(kind, location, store)
    images = [each for each in place.list_images(reference) if _tier(each.document)]
    ours = [each for each in images if {reference, f"{location}/{reference}"} & _repositories(each)]
    if not ours:
        ours = [each for each in images if _tier(each.document) == reference]
        repositories = sorted({name for each in ours for name in _repositories(each)})
        if len(repositories) > 1:  # several chains have a tier of this name
            raise UsageError(f"{place.title} has several tiers {reference!r}; name one of {', '.join(repositories)}")
    if not ours:
        raise NotFoundError(f"{place.title} has no image of a tier {reference!r}; `tierwright tree` shows the tiers")
    return str(_tier(ours[0].document)), ours


def _tier(document: Document) -> str | None:
    return document.steps[-1].tier if document.steps else None


def _repositories(held: HeldImage) -> set[str]:
    return {familiar_name(name).rpartition(":")[0] for name in held.document.names}


def _events(held: list[HeldImage]) -> Iterator[tuple[int, HeldImage, str | None]]:
    for each in held:
        release_tags = {tag for name in each.document.names if tags.is_release(tag := name.rpartition(":")[2])}
        for tag in release_tags:
            moment = tags.moment(tag)
            yield max(0, int(moment.timestamp())) if moment else 0, each, tag
        if not release_tags:
            yield each.document.created, each, None


def _repository_in_engine(source: ContainerImage, store: Store) -> str:
    """Return the repository in the engine that holds the image of a container which was started by its ID."""
    document = open_place("", "", store).find(source.image)
    repositories = sorted(_repositories(HeldImage(document, 0)))
    if not repositories:
        raise NotFoundError(
            f"container {source.container} was started by the ID of its image, and the engine has no name for this "
            "image any more; name the tier instead"
        )
    return repositories[0]


def _release(when: int, document: Document, tag: str | None, before: Document | None, deployed: str | None) -> Release:
    last = document.steps[-1]
    return Release(
        image=document.id,
        names=list(document.names),
        tag=tag,
        when=timestamp(when),
        tier=str(last.tier),
        team=last.team,
        role=last.role,
        revision=last.revision,
        current=any(not is_lasting(name) for name in document.names),
        deployed=document.id == deployed,
        reasons=_reasons(before, document),
    )


def _reasons(before: Document | None, after: Document) -> list[str] | None:
    if before is None:
        return []
    if before.id == after.id:
        return ["released again"]
    old, new = (labels.stored_parts(each.labels, str(_tier(each))) for each in (before, after))
    return None if old is None or new is None else list(differences(old, new)) or ["built again with the same inputs"]
