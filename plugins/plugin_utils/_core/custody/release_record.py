# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The release record of a chain: which images its tiers have now, signed, with a number and an end.

Signatures do not age: an image of last year with all its known holes still has valid ones. The record is what a
registry cannot keep back unnoticed. Its number only rises, it names the record before it, and it expires.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ..chain.names import is_digest
from ..errors import DamagedError
from ..policy.evidence import RELEASE, SignedStatement, read_signed_statement
from ..signing.bundle import read_bundle
from ..signing.public_key import PublicKey
from ..signing.statement import Statement, Subject
from ..transports.image_document import digest

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
#: Limit for numbers. JSON libraries of other languages read larger ones inexactly.
LARGEST_SERIAL = 2**53 - 1
_LONGEST_NAME = 255
#: Limit for the size of a record's bundle, in bytes.
LARGEST_RECORD = 8 << 20


class ReleasedTier(msgspec.Struct, frozen=True):
    """The image that a tier has in a release."""

    #: Digest of its manifest, and of its configuration.
    manifest: str
    config: str
    #: The tag that others follow.
    tag: str
    #: The tag of its release, ``release-…``; empty if it has none.
    release: str = ""


class ChainRelease(msgspec.Struct, frozen=True):
    """What a chain has released."""

    chain: str
    #: The first record has the number 1.
    serial: int
    #: Digest of the bytes of the record before; ``None`` if it is the first.
    previous: str | None
    created: datetime
    expires: datetime
    tiers: Mapping[str, ReleasedTier]

    @property
    def statement(self) -> Statement:
        """The statement of this record. Its subjects are the manifests of the tiers."""
        return Statement(
            subjects=tuple(Subject(name, each.manifest) for name, each in sorted(self.tiers.items())),
            predicate_type=RELEASE,
            predicate={
                "chain": self.chain,
                "serial": self.serial,
                "previous": self.previous,
                "created": self.created.strftime(_FORMAT),
                "expires": self.expires.strftime(_FORMAT),
                "tiers": {
                    name: {
                        "manifest": each.manifest,
                        "config": each.config,
                        "tag": each.tag,
                        **({"release": each.release} if each.release else {}),
                    }
                    for name, each in self.tiers.items()
                },
            },
        )

    def is_fresh(self, now: datetime) -> bool:
        """Say whether less than half of its life is over. Then it need not be renewed."""
        return self.created <= now < self.created + (self.expires - self.created) / 2


class SignedRelease(msgspec.Struct, frozen=True):
    """A release record, and who signed it."""

    record: ChainRelease
    #: The statement, and those of the given keys that signed it.
    signed: SignedStatement
    #: The bytes of its bundle.
    bundle: bytes

    @property
    def digest(self) -> str:
        """Digest of the signed bytes: what the next record has as ``previous``."""
        return digest(self.signed.payload)


def next_record(
    chain: str, before: SignedRelease | None, tiers: Mapping[str, ReleasedTier], now: datetime, valid: timedelta
) -> ChainRelease:
    """Return the record that follows another one.

    Args:
        chain: The chain.
        before: The newest record so far; ``None`` for the first one.
        tiers: The released images, by tier.
        now: The current time.
        valid: How long the record is valid.
    """
    created = now.astimezone(UTC).replace(microsecond=0)
    return ChainRelease(
        chain=chain,
        serial=before.record.serial + 1 if before else 1,
        previous=before.digest if before else None,
        created=created,
        expires=created + valid,
        tiers=dict(tiers),
    )


def read_release(bundle: bytes, keys: Iterable[PublicKey], title: str) -> SignedRelease:
    """Read a release record from its bundle.

    Args:
        bundle: The bytes of the bundle.
        keys: The keys whose signatures are looked for. If none of them signed, the record has no signers.
        title: What it is, for messages.

    Raises:
        DamagedError: It is not the bundle of a release record.
    """
    signed = read_signed_statement(read_bundle(bundle, title), keys, title)
    return SignedRelease(_read_record(signed.statement, title), signed, bundle)


def _read_record(statement: Statement, title: str) -> ChainRelease:
    if statement.predicate_type != RELEASE:
        raise DamagedError(f"{title} is a statement of type {statement.predicate_type!r}; expected {RELEASE}")
    found = statement.predicate
    chain, serial, previous, tiers = (found.get(name) for name in ("chain", "serial", "previous", "tiers"))
    if not _is_name(chain):
        raise DamagedError(f"{title} is damaged: it names no chain")
    if type(serial) is not int or not 0 < serial <= LARGEST_SERIAL:
        raise DamagedError(f"{title} is damaged: its serial is {str(serial)[:_LONGEST_NAME]}")
    if not (_is_digest(previous) if serial > 1 else previous is None):
        raise DamagedError(f"{title} is damaged: previous is {previous!r} in record {serial}")
    if not isinstance(tiers, dict) or not tiers:
        raise DamagedError(f"{title} is damaged: it names no tiers")
    record = ChainRelease(
        chain=str(chain),
        serial=serial,
        previous=previous,
        created=_read_time(found.get("created"), title),
        expires=_read_time(found.get("expires"), title),
        tiers={name: _read_tier(name, each, title) for name, each in tiers.items()},
    )
    if {(each.name, each.digest) for each in statement.subjects} != {
        (each.name, each.digest) for each in record.statement.subjects
    } or len(statement.subjects) != len(record.tiers):
        raise DamagedError(f"{title} is damaged: its subjects are not the images that it names")
    return record


def _read_tier(name: str, value: Any, title: str) -> ReleasedTier:
    values = value if isinstance(value, dict) else {}
    manifest, config, tag, release = (values.get(key, "") for key in ("manifest", "config", "tag", "release"))
    if not (_is_name(name) and _is_digest(manifest) and _is_digest(config) and _is_name(tag)):
        raise DamagedError(f"{title} is damaged: its entry for tier {name[:_LONGEST_NAME]!r} lacks a digest or a tag")
    return ReleasedTier(manifest, config, tag, release if _is_name(release) else "")


def _read_time(value: Any, title: str) -> datetime:
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return datetime.strptime(value, _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        pass
    raise DamagedError(f"{title} is damaged: {str(value)[:_LONGEST_NAME]!r} is not a time such as 2026-11-30T12:00:00Z")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and is_digest(value)
