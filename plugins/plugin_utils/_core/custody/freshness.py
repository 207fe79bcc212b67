# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks that a tag in a registry names the newest release of its chain, as the signed release record says.

This finds what signatures cannot: an old release that is put back, a registry that no longer shows new ones, and a tag
that somebody moved. A publication moves the tag of the record a moment after the other tags. A reader who comes in
between looks again.
"""

from __future__ import annotations

import time
from datetime import datetime

import msgspec
from msgspec.structs import replace

from ..errors import NotFoundError, TrustError
from ..policy.freshness import SeenRelease, judge_release
from ..policy.link import Link, failed
from ..policy.policy import Policy
from ..transports.image_document import digest
from .registry_records import RegistryPlace
from .release_memory import read_seen, remember
from .release_reader import TaggedRelease, read_tagged
from .release_record import SignedRelease

#: Seconds before each further look, if the record does not name the image of the tag.
_PAUSES = (0.5, 1.5)


class ExpectedRelease(msgspec.Struct, frozen=True):
    """The image that a tag names, and whose newest release it should be."""

    chain: str
    tier: str
    tag: str
    #: Host and repository: ``registry.example.org/operations/corebuild``.
    image: str
    #: Digest of the manifest that the tag names.
    manifest: str


def check_release(policy: Policy, place: RegistryPlace, expected: ExpectedRelease, now: datetime) -> list[Link]:
    """Check that the image of a tag is the newest release, and remember this release.

    Args:
        policy: The policy.
        place: Where the image is.
        expected: The image.
        now: The current time.

    Returns:
        What was checked; empty if the policy does not say who signs releases.

    Raises:
        TrustError: The memory of earlier releases is damaged, or cannot be written.
        EngineError: The registry rejected a request, or does not answer.
    """
    if policy.releases is None:
        return []
    seen = read_seen(expected.chain, expected.image)
    for pause in (*_PAUSES, None):
        found = read_tagged(place.client, place.repository, policy.keys())
        if pause is None or found is None or not _is_other_image(found, expected):
            break
        time.sleep(pause)
        if _named(place, expected.tag) != expected.manifest:
            return [_fault(expected, f"{expected.image}:{expected.tag} moved while it was read", "start again")]
    if found is not None and found.release is None:
        return [_fault(expected, found.problem, "let its team run playbooks/publish.yml, which writes it again")]
    release = found.release if found else None
    signed = release.signed if release else None

    def judge(tags: dict[str, str]) -> list[Link]:
        return judge_release(policy, expected.chain, signed, seen=seen, tags=tags, now=now)

    if release and all(link.ok for link in judge({})):
        remember(expected.chain, expected.image, SeenRelease(release.record.serial, release.digest))
    links = [replace(link, tier=expected.tier) for link in judge({expected.tier: expected.manifest})]
    return [*links, *_find_other_tag(release, expected)]


def require_release(
    policy: Policy, place: RegistryPlace, expected: ExpectedRelease, now: datetime, subject: str
) -> None:
    """Refuse an image that is not the newest release.

    Args:
        policy: The policy.
        place: Where the image is.
        expected: The image.
        now: The current time.
        subject: What is refused, for the message: ``tier 'corebuild' is not updated``.

    Raises:
        TrustError: It is not, or the memory of earlier releases cannot be used. The message says what to do.
        EngineError: The registry rejected a request, or does not answer.
    """
    for link in failed(check_release(policy, place, expected, now)):
        raise TrustError(f"{subject}: {expected.image}:{expected.tag}: {link.detail}; {link.action}")


def _find_other_tag(release: SignedRelease | None, expected: ExpectedRelease) -> list[Link]:
    """Find a tag that is not among those of the release. Anybody could move it unnoticed."""
    released = release.record.tiers.get(expected.tier) if release else None
    if released is None or expected.tag in {released.tag, released.release}:
        return []
    detail = f"the release record says nothing about the tag {expected.tag}"
    return [_fault(expected, detail, f"use {expected.image}:{released.tag}, or a digest")]


def _fault(expected: ExpectedRelease, detail: str, action: str) -> Link:
    return Link(expected.tier, "freshness", ok=False, detail=detail, action=action)


def _is_other_image(found: TaggedRelease, expected: ExpectedRelease) -> bool:
    released = found.release.record.tiers.get(expected.tier) if found.release else None
    return released is not None and released.manifest != expected.manifest


def _named(place: RegistryPlace, tag: str) -> str | None:
    """Return the digest of the manifest that a tag names now."""
    try:
        return digest(place.client.document(place.repository, "manifests", tag))
    except NotFoundError:
        return None
