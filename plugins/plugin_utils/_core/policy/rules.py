# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of a policy: teams with their keys, and what the image of a tier must fulfil."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..signing.public_key import PublicKey


class Team(msgspec.Struct, frozen=True):
    """A team that signs."""

    name: str
    #: Its keys by person.
    keys: Mapping[str, PublicKey]


class TierRule(msgspec.Struct, frozen=True):
    """What the image of a tier must fulfil."""

    #: The team that signs; ``None`` for a base that only others sign.
    team: str | None = None
    #: For a pulled base, the keys of others, by name. One of them must have signed the pulled image with cosign.
    signed_by: Mapping[str, PublicKey] = msgspec.field(default_factory=dict)
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


class ReleaseRule(msgspec.Struct, frozen=True):
    """Who signs release records."""

    #: The teams. A key of one of them is enough.
    teams: tuple[str, ...]
    #: For how many days a release record may be valid at most.
    valid: int


class Revocation(msgspec.Struct, frozen=True):
    """Why a key does not count any more."""

    #: The day, as in the policy: ``2026-11-30``.
    day: str
    #: The reason; can be empty.
    reason: str

    def __str__(self) -> str:
        """Return both, for messages."""
        return f"{self.day} ({self.reason})" if self.reason else self.day
