# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases of a tier: when, whose, and what made each one differ from the one before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..build_key.rebuild_reasons import differences
from ..chain import tags
from ..chain.names import familiar_name
from ..chain.tags import is_lasting
from ..errors import NotFoundError, UsageError
from ..image import labels
from ..layer_index.index import Store
from ..plan.dry_run import Now
from ..transports.image_document import Document, timestamp
from ..transports.transport import Held, open_place, split


@dataclass(frozen=True, slots=True)
class Release:
    """One release, or an image that was built and has no release tag."""

    #: ID of the image.
    image: str
    names: list[str]
    #: The tag ``release-…``; ``null`` where the image has none.
    tag: str | None
    #: RFC 3339 time of the release, else of the build.
    when: str | None
    tier: str
    team: str | None
    role: str | None
    #: The last commit that touched the role; ``null`` where the image does not say.
    revision: str | None
    #: Whether a release tag such as ``latest`` names it now.
    current: bool
    #: What decided that it was built anew, against the one before; ``null`` where one of the two does not say.
    reasons: list[str] | None


@dataclass(frozen=True, slots=True)
class History:
    """The answer to ``tierwright history``."""

    tier: str
    #: Oldest first.
    releases: list[Release]


@dataclass(frozen=True, slots=True)
class Why:
    """The answer to ``tierwright why``."""

    tier: str
    team: str | None
    #: What is released, and the release before it; ``null`` where there is none, or the question was about a run now.
    release: Release | None
    before: Release | None
    #: What differs between the two; ``null`` where one of them does not say.
    reasons: list[str] | None
    #: What a run would do; ``null`` where the question was about what is released.
    now: Now | None


def history(name: str, store: Store) -> History:
    """Find the releases of a tier.

    Args:
        name: The tier, or the repository of its images: in the engine, or in another place
            (:mod:`..transports.transport`).
        store: For what is read.

    Raises:
        NotFoundError: There is no image of such a tier.
        TierwrightError: As opening the place does.
    """
    return tell(*_of_tier(name, store))


def tell(tier: str, held: list[Held]) -> History:
    """Tell the releases of a tier from all images of it."""
    events = sorted(_events(held), key=lambda event: (event[0], event[1].document.id))
    releases: list[Release] = []
    before: Document | None = None
    for when, each, tag in events:
        releases.append(_release(when, each.document, tag, before))
        before = each.document
    return History(tier, releases)


def why(name: str, store: Store) -> Why:
    """Say why the image that is released now was built. Arguments and errors are those of :func:`history`."""
    told = history(name, store)
    number = max((number for number, each in enumerate(told.releases) if each.current), default=len(told.releases) - 1)
    now = told.releases[number]
    return Why(told.tier, now.team, now, told.releases[number - 1] if number else None, now.reasons, None)


def _of_tier(name: str, store: Store) -> tuple[str, list[Held]]:
    kind, location, reference = split(name)
    if not reference:
        raise UsageError(f"{name!r} names no tier; expected {name}:TIER")
    place = open_place(kind, location, store)
    images = [each for each in place.held(reference) if _tier(each.document)]
    ours = [each for each in images if reference in _repositories(each)]
    if not ours:
        ours = [each for each in images if _tier(each.document) == reference]
        several = sorted({name for each in ours for name in _repositories(each)})
        if len(several) > 1:  # chains that have a tier of that name
            raise UsageError(f"{place.title} holds several tiers {reference!r}; name one of {', '.join(several)}")
    if not ours:
        raise NotFoundError(f"{place.title} holds no image of a tier {reference!r}; `tierwright tree` shows the tiers")
    return str(_tier(ours[0].document)), ours


def _tier(document: Document) -> str | None:
    return document.steps[-1].tier if document.steps else None


def _repositories(held: Held) -> set[str]:
    return {familiar_name(name).rpartition(":")[0] for name in held.document.names}


def _events(held: list[Held]) -> Iterator[tuple[int, Held, str | None]]:
    for each in held:
        released = {tag for name in each.document.names if tags.is_release(tag := name.rpartition(":")[2])}
        for tag in released:
            moment = tags.moment(tag)
            yield max(0, int(moment.timestamp())) if moment else 0, each, tag
        if not released:
            yield each.document.created, each, None


def _release(when: int, document: Document, tag: str | None, before: Document | None) -> Release:
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
        reasons=_reasons(before, document),
    )


def _reasons(before: Document | None, now: Document) -> list[str] | None:
    if before is None:
        return []
    if before.id == now.id:
        return ["released again"]
    old, new = (labels.stored_parts(each.labels, str(_tier(each))) for each in (before, now))
    return None if old is None or new is None else list(differences(old, new)) or ["built again from the same"]
