# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A policy: the teams with their keys, and what each tier's image must fulfil."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..signing.public_key import PublicKey

#: The rule for tiers that the policy does not list.
OTHERS = "*"


@dataclass(frozen=True, slots=True)
class Team:
    """A team that signs."""

    name: str
    #: Its keys by person.
    keys: Mapping[str, PublicKey]


@dataclass(frozen=True, slots=True)
class TierRule:
    """What the image of a tier must fulfil."""

    #: The team that signs; ``None`` for a base that only others sign.
    team: str | None = None
    #: For a pulled base, the keys of others, by name. One of them must have signed the pulled image with cosign.
    signed_by: Mapping[str, PublicKey] = field(default_factory=dict)
    #: How many different keys of the team must sign.
    signatures: int = 1
    #: How many builders, with different keys, must have made the same image.
    builders: int = 1
    #: Patterns of Git repositories, and of branches in them; empty if all are allowed.
    repositories: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    #: Whether the working tree of the source must have had no change that is not committed.
    clean: bool = True
    #: Patterns of tests. Each must match a test that passed.
    tests: tuple[str, ...] = ()
    #: Patterns of absolute paths that its layer may write; empty if all are allowed.
    writes: tuple[str, ...] = ()
    #: Whether a signed software bill of materials is required.
    sbom: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseRule:
    """Who signs release records."""

    #: The teams. A key of one of them is enough.
    teams: tuple[str, ...]
    #: For how many days a release record may be valid at most.
    valid: int


@dataclass(frozen=True, slots=True)
class Revocation:
    """Why a key does not count any more."""

    #: The day, as in the policy: ``2026-11-30``.
    day: str
    #: The reason; can be empty.
    reason: str

    def __str__(self) -> str:
        """Return both, for messages."""
        return f"{self.day} ({self.reason})" if self.reason else self.day


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy."""

    #: It rises with each change.
    version: int
    #: From this time on, the policy allows nothing.
    expires: datetime
    teams: Mapping[str, Team]
    #: The rules by tier; see :meth:`rule`.
    tiers: Mapping[str, TierRule]
    releases: ReleaseRule | None = None
    #: How old a base may be, in days; ``None`` if any age is allowed.
    base_age: int | None = None
    #: By package or pattern, for how many days an available security update may be missing.
    outdated: Mapping[str, int] = field(default_factory=dict)
    #: Keys that do not count any more, by their ID.
    revoked: Mapping[str, Revocation] = field(default_factory=dict)

    def rule(self, tier: str) -> TierRule | None:
        """Return the rule for a tier; ``None`` if the policy allows no such tier."""
        return self.tiers.get(tier, self.tiers.get(OTHERS))

    def keys(self) -> list[PublicKey]:
        """Return all keys, also those of others and those that are revoked: whatever is worth a look at a signature."""
        return list(dict.fromkeys(key for key, _owner in self._owned()))

    def owner(self, key: PublicKey) -> str:
        """Say whose a key is, for messages: ``alice of team 'operations'``, or the start of an unknown key's ID."""
        return next((owner for each, owner in self._owned() if each == key), f"key {key}")

    def valid_keys(self, team: str) -> frozenset[PublicKey]:
        """Return the keys of a team that are not revoked."""
        return frozenset(key for key in self.teams[team].keys.values() if key.id not in self.revoked)

    def _owned(self) -> Iterator[tuple[PublicKey, str]]:
        for team in self.teams.values():
            for person, key in team.keys.items():
                yield key, f"{person} of team {team.name!r}"
        for rule in self.tiers.values():
            for name, key in rule.signed_by.items():
                yield key, name
