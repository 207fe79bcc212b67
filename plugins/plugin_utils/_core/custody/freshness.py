# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks that a tag in a registry names the newest release of its chain, as the signed release record says.

This finds what signatures cannot: an old release that is put back, a registry that no longer shows new ones, and a tag
that somebody moved. A publication moves the tag of the record a moment after the other tags. A reader who comes in
between looks again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..errors import NotFoundError, TrustError
from ..policy.link import Link
from ..policy.policy import Policy
from ..transports.image_document import digest
from .registry_records import RegistryPlace
from .release_memory import SeenRelease, read_seen, remember
from .release_reader import TaggedRelease, read_tagged

#: Seconds before each further look, if the record does not name the image of the tag.
_PAUSES = (0.5, 1.5)
#: By how much the clock of a publisher may be ahead.
_AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ExpectedRelease:
    """The image that a tag names, and whose newest release it should be."""

    chain: str
    tier: str
    tag: str
    #: Host and repository: ``registry.example.org/operations/corebuild``.
    image: str
    #: Digest of the manifest that the tag names.
    manifest: str


def check_release(policy: Policy, place: RegistryPlace, expected: ExpectedRelease, now: datetime) -> Link | None:
    """Check that the image of a tag is the newest release, and remember this release.

    Args:
        policy: The policy.
        place: Where the image is.
        expected: The image.
        now: The current time.

    Returns:
        The result; ``None`` if the policy does not say who signs releases.

    Raises:
        TrustError: The memory of earlier releases is damaged, or cannot be written.
        EngineError: The registry rejected a request, or does not answer.
    """
    if policy.releases is None:
        return None
    seen = read_seen(expected.chain, expected.image)
    for pause in (*_PAUSES, None):
        found = read_tagged(place.client, place.repository, policy.keys())
        link = judge_release(policy, found, expected, seen, now)
        if link.ok or pause is None or found is None or not _is_other_image(found, expected):
            break
        time.sleep(pause)
        if _named(place, expected.tag) != expected.manifest:
            detail = f"{expected.image}:{expected.tag} moved while it was read"
            return Link(expected.tier, "freshness", ok=False, detail=detail, action="start again")
    release = found.release if found else None
    if release and next(_problems_of_record(policy, found, expected, seen), None) is None:
        remember(SeenRelease(expected.chain, expected.image, release.record.serial, release.digest))
    return link


def require_release(
    policy: Policy, place: RegistryPlace, expected: ExpectedRelease, now: datetime, subject: str
) -> None:
    """Refuse an image that is not the newest release.

    Raises:
        TrustError: It is not, or the memory of earlier releases cannot be used. The message says what to do.
        EngineError: The registry rejected a request, or does not answer.
    """
    link = check_release(policy, place, expected, now)
    if link is not None and not link.ok:
        raise TrustError(f"{subject}: {link.detail}; {link.action}")


def judge_release(
    policy: Policy,
    found: TaggedRelease | None,
    expected: ExpectedRelease,
    seen: SeenRelease | None,
    now: datetime,
) -> Link:
    """Judge whether the image of a tag is the newest release. Nothing is read.

    Args:
        policy: The policy, which says who signs releases.
        found: What the repository has as its release record; ``None`` if it has none.
        expected: The image of the tag.
        seen: The newest record that was seen there before; ``None`` if none was.
        now: The current time.
    """
    problems = (*_problems_of_record(policy, found, expected, seen), *_problems_of_time(policy, found, now))
    for detail, action in (*problems, *_problems_of_image(found, expected)):
        return Link(expected.tier, "freshness", ok=False, detail=detail, action=action)
    record = found.release.record if found and found.release else None
    until = f", valid until {record.expires:%Y-%m-%d}" if record else ""
    return Link(expected.tier, "freshness", ok=True, detail=f"release {record.serial if record else '?'}{until}")


def _problems_of_record(
    policy: Policy, found: TaggedRelease | None, expected: ExpectedRelease, seen: SeenRelease | None
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the record itself: each with what to do."""
    where, teams = expected.image, policy.releases.teams if policy.releases else ()
    owners = " or ".join(map(repr, teams))
    if found is None:
        had = f", although release {seen.serial} was seen there before" if seen else ""
        action = f"let team {owners} publish {expected.tier!r} with its signing key"
        yield f"{where} has no release record{had}", action
        return
    release = found.release
    if release is None:
        yield found.problem, f"let team {owners} publish {expected.tier!r} again"
        return
    record, ask = release.record, f"do not use it; ask team {owners} what happened to {where}"
    allowed = frozenset(key for team in teams for key in policy.valid_keys(team))
    if allowed.isdisjoint(release.signers):
        signed = " and ".join(map(policy.owner, release.signers)) or "nobody that the policy knows"
        yield f"the release record of {where} is signed by {signed}; team {owners} signs releases", ask
    elif record.chain != expected.chain:
        yield f"the release record of {where} is of chain {record.chain!r}; expected chain {expected.chain!r}", ask
    elif seen and record.serial < seen.serial:
        detail = f"{where} has release {record.serial} again, although release {seen.serial} was seen there before"
        yield f"{detail}: an old release is replayed", ask
    elif seen and record.serial == seen.serial and release.digest != seen.digest:
        yield f"{where} has another release record {record.serial} than before", ask
    elif seen and record.serial == seen.serial + 1 and record.previous != seen.digest:
        yield f"release record {record.serial} of {where} does not follow the record {seen.serial} that was seen", ask


def _problems_of_time(policy: Policy, found: TaggedRelease | None, now: datetime) -> Iterator[tuple[str, str]]:
    if found is None or found.release is None or policy.releases is None:
        return
    record = found.release.record
    if now >= record.expires:
        detail = f"release {record.serial} of chain {record.chain!r} expired on {record.expires:%Y-%m-%d}"
        yield (
            f"{detail}: nobody renewed it, or the registry keeps back newer ones",
            "let its team run playbooks/publish.yml, which renews it",
        )
    elif record.created > now + _AHEAD:
        detail = f"release {record.serial} of chain {record.chain!r} is of {record.created:%Y-%m-%d}, in the future"
        yield detail, "correct the clock of this machine, or that of its publisher"
    elif record.expires - record.created > timedelta(days=policy.releases.valid):
        days = (record.expires - record.created).days
        detail = f"release {record.serial} of chain {record.chain!r} is valid for {days} days"
        yield f"{detail}; the policy allows {policy.releases.valid}", "let its team publish again with this policy"


def _problems_of_image(found: TaggedRelease | None, expected: ExpectedRelease) -> Iterator[tuple[str, str]]:
    if found is None or found.release is None:
        return
    record = found.release.record
    released = record.tiers.get(expected.tier)
    name = f"{expected.image}:{expected.tag}"
    if released is None:
        yield f"release {record.serial} of chain {record.chain!r} has no tier {expected.tier!r}", f"do not use {name}"
    elif expected.tag not in {released.tag, released.release}:
        detail = f"release {record.serial} of chain {record.chain!r} says nothing about {name}"
        yield detail, f"use {expected.image}:{released.tag}, or a digest"
    elif released.manifest != expected.manifest:
        detail = f"{name} is {expected.manifest}, but release {record.serial} has {released.manifest}"
        yield (
            f"{detail}: somebody moved the tag, or a publication did not end",
            "let its team run playbooks/publish.yml, which moves it to the release",
        )


def _is_other_image(found: TaggedRelease, expected: ExpectedRelease) -> bool:
    released = found.release.record.tiers.get(expected.tier) if found.release else None
    return released is not None and released.manifest != expected.manifest


def _named(place: RegistryPlace, tag: str) -> str | None:
    """Return the digest of the manifest that a tag names now."""
    try:
        return digest(place.client.document(place.repository, "manifests", tag))
    except NotFoundError:
        return None
