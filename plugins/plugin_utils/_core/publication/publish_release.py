# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the release record of a chain at the end of a publication, signs it, and writes it to its repositories.

The tag of the record moves with the other tags, after them. So a reader who finds the new record finds the new images.
The record is remembered here before a tag moves. If the run is killed in between, the next one goes on with it, so no
number is used for two records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from ..chain import tags
from ..chain.graph import Chain
from ..chain.names import split_registry
from ..custody.bundle_artifact import make_artifact
from ..custody.release_reader import TaggedRelease, read_tagged
from ..custody.release_record import ReleasedTier, SignedRelease, next_record, read_release
from ..errors import DamagedError, RunError, describe_error, errors_of
from ..local_files import own_reads, set_aside, write_durably
from ..policy.policy import Policy
from ..signing.bundle import write_bundle
from ..signing.envelope import Signer, sign_statement
from ..signing.public_key import PublicKey
from ..state.journal import state_folder
from ..transports.referrers_writer import write_artifact
from .publish import PublishedTier
from .registry_tags import Connect, RegistryMove

#: How long a release record is valid, if the policy does not say it.
VALID = timedelta(days=14)


def _now() -> datetime:
    return datetime.now(UTC)


class ReleaseSigning(msgspec.Struct, frozen=True):
    """How the releases of a chain are signed."""

    signer: Signer
    #: Other keys that may sign releases of this chain: those of the teams that the policy names under ``releases``.
    keys: tuple[PublicKey, ...] = ()
    #: Keys that may not sign any more. Records that they signed are replaced, with the next number.
    earlier: tuple[PublicKey, ...] = ()
    valid: timedelta = VALID
    #: Returns the current time.
    now: Callable[[], datetime] = _now


def choose_signing(
    policy: Policy | None, signers: Iterable[Signer], say: Callable[[str], None]
) -> ReleaseSigning | None:
    """Choose who signs the release record of a chain.

    Args:
        policy: The policy of the chain; ``None`` if it has none. If it says who signs releases, only they do.
        signers: The signers of the published tiers, the base first. To open a key takes time, so no more are taken
            than necessary.
        say: Called with a line if there are signers, but none that may sign releases.

    Returns:
        How releases are signed; ``None`` if nobody can.
    """
    rule = policy.releases if policy else None
    if policy is None or rule is None:
        first = next(iter(signers), None)
        return ReleaseSigning(first) if first else None
    valid = frozenset(key for team in rule.teams for key in policy.valid_keys(team))
    every = frozenset(key for team in rule.teams for key in policy.teams[team].keys.values())
    is_signed = False
    for signer in signers:
        is_signed = True
        if signer.public_key in valid:
            return ReleaseSigning(signer, tuple(valid), tuple(every - valid), timedelta(days=rule.valid))
    if is_signed:
        say(
            f"there is no new release record: the policy lets team {' or '.join(map(repr, rule.teams))} sign releases, "
            "and tier_signing_key names no key of it; who checks the record refuses what is published now"
        )
    return None


class ReleasePublisher:
    """Publishes the release records of one chain."""

    def __init__(
        self, name: str, chain: Chain, signing: ReleaseSigning, connect: Connect, say: Callable[[str], None]
    ) -> None:
        """Take what to sign with.

        Args:
            name: The chain's name.
            chain: The chain.
            signing: How releases are signed.
            connect: Returns a registry, by its host.
            say: Called with lines to print.
        """
        self._name, self._chain, self._signing, self._connect, self._say = name, chain, signing, connect, say
        self._valid = frozenset((signing.signer.public_key, *signing.keys))
        self._keys = (*self._valid, *signing.earlier)

    def prepare(self, published: Sequence[PublishedTier], releases: Mapping[str, str]) -> list[RegistryMove]:
        """Write the record of a release to all its repositories. No tag moves.

        A record that says the same, and has more than half of its life before it, stays.

        Args:
            published: The published tiers. Other tiers of the chain keep their entry.
            releases: The tags ``release-…`` of their images, by tier.

        Returns:
            The moves of the tags of the record.

        Raises:
            TrustError: The key cannot sign.
            RunError: The record cannot be remembered.
            EngineError: A registry rejected a request, or does not answer.
        """
        places = {split_registry(each.tier.image) or ("", ""): each.tier.name for each in published}
        with errors_of(f"the release record of chain {self._name!r}"):
            found = {place: read_tagged(self._connect(place[0]).client, place[1], self._keys) for place in places}
            before, is_only = self._newest(found)
            tiers = self._released(before, published, releases)
            now = self._signing.now()
            stays = is_only and before and before.record.tiers == tiers and before.record.is_fresh(now)
            if before is None or not stays or self._valid.isdisjoint(before.signed.signers):
                before = self._sign(before, tiers, now)
            artifact = make_artifact(before.bundle, "the release record")
            moves = []
            for (host, repository), tier in places.items():
                tagged = found[host, repository]
                if tagged is None or tagged.manifest != artifact.digest:
                    write_artifact(self._connect(host), repository, artifact)
                    named = tagged.manifest if tagged else None
                    moves.append(RegistryMove(host, repository, tags.RELEASE_RECORD, named, artifact.digest, tier))
            return moves

    def _newest(self, found: Mapping[tuple[str, str], TaggedRelease | None]) -> tuple[SignedRelease | None, bool]:
        """Return the newest record of this chain, and whether it is the only one with its number.

        Of two records with the same number, one that is in a registry counts: others may have seen it.
        """
        remembered = self._remembered()
        records = []
        for (host, repository), tagged in found.items():
            release = tagged.release if tagged else None
            if tagged is None:
                continue
            if release is None:
                self._say(f"{tagged.problem}; it is replaced")
            elif not release.signed.signers or release.record.chain != self._name:
                self._say(
                    f"the release record in {host}/{repository} is of chain {release.record.chain!r} and signed by "
                    f"{'a known key' if release.signed.signers else 'no known key'}; it is replaced"
                )
            else:
                records.append(release)
                if remembered and release.record.serial < remembered.record.serial:
                    self._say(
                        f"{host}/{repository} has release record {release.record.serial}, the newest is "
                        f"{remembered.record.serial}: a publication was interrupted, or somebody moved its tag back"
                    )
        records += [remembered] if remembered else []
        newest = max(records, key=lambda each: each.record.serial, default=None)
        numbers = {each.digest for each in records if newest and each.record.serial == newest.record.serial}
        return newest, len(numbers) <= 1

    def _released(
        self, before: SignedRelease | None, published: Sequence[PublishedTier], releases: Mapping[str, str]
    ) -> dict[str, ReleasedTier]:
        """Return what the chain has released now: tiers that were removed from the chain are left out."""
        earlier = before.record.tiers if before else {}
        now = {
            each.tier.name: ReleasedTier(each.manifest, each.image.id, each.tier.tag, releases.get(each.tier.name, ""))
            for each in published
        }
        publishable = [tier.name for tier in self._chain if tier.is_publishable]
        return {name: now.get(name) or earlier[name] for name in publishable if name in now or name in earlier}

    def _sign(self, before: SignedRelease | None, tiers: Mapping[str, ReleasedTier], now: datetime) -> SignedRelease:
        record = next_record(self._name, before, tiers, now, self._signing.valid)
        envelope = sign_statement(record.statement, self._signing.signer)
        bundle = write_bundle(envelope, self._signing.signer.public_key)
        path = _memory(self._name)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(path, bundle)
        except OSError as error:
            raise RunError(
                f"it cannot be remembered in {path} ({describe_error(error)}), so no tag moved; set XDG_STATE_HOME to "
                "a folder that can be written to"
            ) from error
        self._say(f"release record {record.serial} of chain {self._name!r} is valid until {record.expires:%Y-%m-%d}")
        return read_release(bundle, self._keys, "the release record")

    def _remembered(self) -> SignedRelease | None:
        """Return the record that this machine made last; ``None`` if it made none."""
        path = _memory(self._name)
        try:
            with own_reads():
                return read_release(path.read_bytes(), self._keys, str(path))
        except FileNotFoundError:
            return None
        except (OSError, DamagedError) as error:
            self._say(set_aside(path, error))
            return None


def _memory(chain: str) -> Path:
    return state_folder(chain) / "release-record.json"
