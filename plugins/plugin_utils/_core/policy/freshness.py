# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges the release record of a chain: whether it is the newest release, and whether tags name its images.

All records and images of an old release are well signed. Only a serial number that rises, the digest of the record
before, and an expiry tell that an old release was put back, or that a registry shows nothing new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from ..chain.names import is_digest
from ..signing.envelope import IN_TOTO
from .evidence import RELEASE, SignedStatement
from .link import Link
from .policy import Policy
from .subjects import listed, value_at

#: By how much the clock of the signer may be ahead.
_AHEAD = timedelta(hours=1)
_NAME = "freshness"
_REPLAYED = "do not deploy it: ask the owner of the registry why an old record came back"
_AGAIN = "let the chain's team release again; a run of build_chain writes and signs a new record"


class SeenRelease(msgspec.Struct, frozen=True):
    """The newest release record of a chain that was seen."""

    serial: int
    #: Digest of the bytes of its statement.
    digest: str


class ReleaseRecord(msgspec.Struct, frozen=True):
    """What a release record says."""

    chain: str
    serial: int
    #: Digest of the statement of the record before; empty for the first one.
    previous: str
    created: datetime
    expires: datetime
    #: By tier, the digest of the manifest of its image.
    manifests: Mapping[str, str]
    #: Digest of its statement.
    digest: str

    @property
    def seen(self) -> SeenRelease:
        """What is remembered of it."""
        return SeenRelease(self.serial, self.digest)


def read_release(signed: SignedStatement) -> ReleaseRecord | str:
    """Read a release record, or say why it is none."""
    statement, predicate = signed.statement, signed.statement.predicate
    if signed.payload_type != IN_TOTO or statement.predicate_type != RELEASE:
        return f"its type is {statement.predicate_type}; expected {RELEASE}"
    chain, serial, previous = predicate.get("chain"), predicate.get("serial"), predicate.get("previous") or ""
    if not isinstance(chain, str) or not chain or isinstance(serial, bool) or not isinstance(serial, int) or serial < 1:
        return "it names no chain, or no serial number"
    if not isinstance(previous, str) or (previous and not is_digest(previous)) or (not previous and serial > 1):
        return "it does not name the digest of the record before"
    created, expires = _moment(predicate.get("created")), _moment(predicate.get("expires"))
    if created is None or expires is None:
        return "it does not say when it was created, and when it expires"
    manifests = _manifests(predicate.get("tiers"))
    if not manifests or sorted((each.name, each.digest) for each in statement.subjects) != sorted(manifests.items()):
        return "its subjects are not the images that it names"
    digest = f"sha256:{sha256(signed.payload).hexdigest()}"
    return ReleaseRecord(chain, serial, previous, created, expires, manifests, digest)


def _manifests(tiers: Any) -> dict[str, str]:
    """Return the manifests in a record by tier; empty if one of them is no digest."""
    manifests = {str(tier): value_at(tiers, tier, "manifest") for tier in (tiers if isinstance(tiers, dict) else ())}
    return manifests if all(isinstance(each, str) and is_digest(each) for each in manifests.values()) else {}


def judge_release(
    policy: Policy,
    chain: str,
    signed: SignedStatement | None,
    *,
    seen: SeenRelease | None,
    tags: Mapping[str, str],
    now: datetime,
) -> list[Link]:
    """Judge the release record of a chain.

    Args:
        policy: The policy, whose signature was checked.
        chain: The chain.
        signed: The record that was found; ``None`` if there is none.
        seen: The newest record that was seen before.
        tags: By tier, the digest of the manifest that the release tag names now. Only tiers whose tag was read.
        now: The time.

    Returns:
        The links; empty if the policy requires no release record. The record may be remembered if all are ``ok``.
    """
    if policy.releases is None:
        return []
    if signed is None:
        return [_fault("there is no release record", _AGAIN)]
    teams = policy.releases.teams
    valid = frozenset(key for team in teams for key in policy.valid_keys(team))
    if not valid.intersection(signed.signers):
        found = listed([policy.owner(key) for key in signed.signers]) or "no key that the policy knows"
        detail = f"the release record is signed by the wrong team: by {found}; expected team {' or '.join(teams)}"
        return [_fault(detail, "do not deploy it; let the right team release, or change releases.teams in the policy")]
    record = read_release(signed)
    if isinstance(record, str):
        return [_fault(f"the release record is wrong: {record}", _AGAIN)]
    faults = [*_faults(policy.releases.valid, chain, record, seen, now), *_moved(record, tags)]
    signer = listed([policy.owner(key) for key in signed.signers if key in valid])
    detail = f"release {record.serial} of chain {chain!r}, valid until {record.expires:%Y-%m-%d}, signed by {signer}"
    return faults or [Link("", _NAME, ok=True, detail=detail)]


def _faults(valid: int, chain: str, record: ReleaseRecord, seen: SeenRelease | None, now: datetime) -> Iterator[Link]:
    which = f"the release record {record.serial}"
    if record.chain != chain:
        yield _fault(f"{which} is that of chain {record.chain!r}; expected {chain!r}", "do not deploy it")
    if seen is not None:
        yield from _replayed(which, record, seen)
    if record.created > now + _AHEAD:
        detail = f"{which} claims to be of {record.created:%Y-%m-%d %H:%M} UTC, which is in the future"
        yield _fault(detail, "correct the clock here, or on the machine that signed")
    if now >= record.expires:
        yield _fault(f"{which} expired on {record.expires:%Y-%m-%d} (frozen registry?)", _AGAIN)
    if record.expires - record.created > timedelta(days=valid):
        days = (record.expires - record.created).days
        yield _fault(f"{which} is valid for {days} days; the policy allows {valid}", _AGAIN)


def _replayed(which: str, record: ReleaseRecord, seen: SeenRelease) -> Iterator[Link]:
    if record.serial < seen.serial:
        yield _fault(f"{which} was replayed: record {seen.serial} was seen before", _REPLAYED)
    elif record.serial == seen.serial and record.digest != seen.digest:
        yield _fault(f"{which} was replayed: a different record with this number was seen before", _REPLAYED)
    elif record.serial == seen.serial + 1 and record.previous != seen.digest:
        yield _fault(f"{which} does not follow record {seen.serial}, which was seen before", _REPLAYED)


def _moved(record: ReleaseRecord, tags: Mapping[str, str]) -> Iterator[Link]:
    for tier, digest in tags.items():
        released = record.manifests.get(tier)
        if released != digest:
            detail = f"moved tag: it names {digest}, but release {record.serial} has {released or 'no such tier'}"
            action = "do not deploy it; ask who moved the tag, or release again"
            yield Link(tier, _NAME, ok=False, detail=detail, action=action)


def _fault(detail: str, action: str) -> Link:
    return Link("", _NAME, ok=False, detail=detail, action=action)


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None
