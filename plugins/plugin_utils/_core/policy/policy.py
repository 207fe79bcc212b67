# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A policy: teams with their keys, and what each tier's image must fulfil. ``docs/policy.md`` describes the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from ..errors import TrustError
from ..signing.public_key import PublicKey
from ..strict_yaml import read_strict_yaml
from .patterns import matches, pattern_problem
from .policy_values import PolicyValue
from .rules import ReleaseRule, Revocation, Team, TierRule

#: The rule for tiers that the policy does not list.
OTHERS = "*"


class Policy(msgspec.Struct, frozen=True):
    """A policy."""

    #: It rises with each change.
    version: int
    #: From this time on, the policy allows nothing.
    expires: datetime
    #: Digest of the bytes of its file.
    digest: str
    teams: Mapping[str, Team]
    #: The rules by tier; see :meth:`rule`.
    tiers: Mapping[str, TierRule]
    releases: ReleaseRule | None = None
    #: How old a base may be, in days; ``None`` if any age is allowed.
    base_age: int | None = None
    #: By package or pattern, for how many days an available security update may be missing.
    outdated: Mapping[str, int] = msgspec.field(default_factory=dict)
    #: Keys that do not count any more, by their ID.
    revoked: Mapping[str, Revocation] = msgspec.field(default_factory=dict)

    def rule(self, tier: str) -> TierRule | None:
        """Return the rule for a tier; ``None`` if the policy allows no such tier."""
        return self.tiers.get(tier, self.tiers.get(OTHERS))

    def missing_days(self, package: str) -> int | None:
        """Return for how many days a security update of a package may be missing; ``None`` if this does not matter.

        Its own name counts first, then the strictest pattern, then ``*``.
        """
        if package in self.outdated:
            return self.outdated[package]
        patterns = [days for each, days in self.outdated.items() if each != OTHERS and matches(each, package)]
        return min(patterns) if patterns else self.outdated.get(OTHERS)

    def keys(self) -> list[PublicKey]:
        """Return all keys, also those of others and those that are revoked: whatever is worth a look at a signature."""
        return list(dict.fromkeys(key for key, _owner in self._owned()))

    def owner(self, key: PublicKey) -> str:
        """Say whose a key is, for messages: ``alice of team 'operations'``, and whether it was revoked."""
        owner = next((owner for each, owner in self._owned() if each == key), f"the unknown key {key}")
        revoked = self.revoked.get(key.id)
        return f"{owner}, whose key was revoked on {revoked}" if revoked else owner

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


#: Limit for the size of a policy, in bytes.
LARGEST = 1 << 20

_KEYS = ("version", "expires", "teams", "tiers", "base_age", "outdated", "releases", "revoked")
#: Keys of a tier's rule that are about statements of its team.
_OF_TEAM = ("signatures", "builders", "repositories", "branches", "clean", "tests", "writes", "sbom")


def read_policy(content: bytes, title: str) -> Policy:
    """Read a policy. Its signature is not checked; see :func:`.read_signed_policy`.

    Args:
        content: The bytes of the file.
        title: What it is, for messages: its path.

    Raises:
        TrustError: It is not a policy, or cannot be fulfilled. The message names the value.
    """
    try:
        document = read_strict_yaml(content, LARGEST)
    except ValueError as error:
        raise TrustError(f"{title} is not a valid policy: {error}") from error
    values = PolicyValue(document, title, "").record(_KEYS, ("version", "expires", "teams", "tiers"))
    teams = values["teams"].dictionary("a dictionary of teams, each with keys")
    revoked = values["revoked"].by_key_id() if "revoked" in values else {}
    tiers = values["tiers"].dictionary("a dictionary of rules by tier")
    policy = Policy(
        version=values["version"].whole(),
        expires=values["expires"].moment(),
        digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
        teams={name: Team(name, place.record(("keys",), ("keys",))["keys"].keys()) for name, place in teams.items()},
        tiers={name: _read_rule(place) for name, place in tiers.items()},
        releases=_read_releases(values["releases"]) if "releases" in values else None,
        base_age=values["base_age"].whole() if "base_age" in values else None,
        outdated=_read_outdated(values["outdated"]) if "outdated" in values else {},
        revoked={key: Revocation(*place.day_and_reason()) for key, place in revoked.items()},
    )
    for problem in _problems(policy):
        raise TrustError(f"{title}: {problem}")
    return policy


def _read_rule(place: PolicyValue) -> TierRule:
    values = place.record(("team", "signed_by", *_OF_TEAM))
    if not {"team", "signed_by"} & values.keys():
        raise TrustError(f"{place.title}: {place.path} has no team; name the team that signs the images of the tier")
    if "team" not in values and (more := [name for name in _OF_TEAM if name in values]):
        raise TrustError(
            f"{place.title}: {place.path} has {more[0]}, but no team; name the team, because others sign only the image"
        )
    rule = TierRule()
    return TierRule(
        team=values["team"].text("the name of a team") if "team" in values else None,
        signed_by=values["signed_by"].keys() if "signed_by" in values else rule.signed_by,
        signatures=values["signatures"].whole() if "signatures" in values else rule.signatures,
        builders=values["builders"].whole() if "builders" in values else rule.builders,
        repositories=_patterns(values, "repositories", "[https://git.example.org/operations/*]"),
        branches=_patterns(values, "branches", "[main, release/*]"),
        clean=values["clean"].flag() if "clean" in values else rule.clean,
        tests=_patterns(values, "tests", "[roles/corebuild/tests/*::*]"),
        writes=_patterns(values, "writes", "[/etc/**, /usr/**]", absolute=True),
        sbom=values["sbom"].flag() if "sbom" in values else rule.sbom,
    )


def _patterns(values: Mapping[str, PolicyValue], name: str, example: str, *, absolute: bool = False) -> tuple[str, ...]:
    return values[name].patterns(example, absolute=absolute) if name in values else ()


def _read_releases(place: PolicyValue) -> ReleaseRule:
    values = place.record(("teams", "valid"), ("teams", "valid"))
    return ReleaseRule(values["teams"].names("a list of teams"), values["valid"].whole())


def _read_outdated(place: PolicyValue) -> dict[str, int]:
    packages = place.dictionary("a dictionary of days by package")
    for name, each in packages.items():
        if pattern_problem(name) is not None:
            raise TrustError(f"{each.title}: {each.path} names no package: {pattern_problem(name)}")
    return {name: each.whole(least=0) for name, each in packages.items()}


def _problems(policy: Policy) -> Iterator[str]:
    """Yield what is contradictory in a policy."""
    owners: dict[PublicKey, str] = {}
    for key, where in _places(policy):
        if key in owners:
            yield f"{where} is the same key as {owners[key]}; each person and team needs a key of its own"
        owners[key] = where
    for tier, rule in policy.tiers.items():
        if rule.team is not None:
            yield from _problems_of_team(policy, f"tiers.{tier}", rule, rule.team)
        if rule.signed_by and all(key.id in policy.revoked for key in rule.signed_by.values()):
            yield f"tiers.{tier}.signed_by has only revoked keys; add a key that is valid"
    for index, team in enumerate(policy.releases.teams if policy.releases else ()):
        yield from _problems_of_team(policy, f"releases.teams[{index}]", TierRule(), team)


def _problems_of_team(policy: Policy, where: str, rule: TierRule, team: str) -> Iterator[str]:
    if team not in policy.teams:
        yield f"{where} names the team {team!r}; known are {', '.join(policy.teams)}"
        return
    keys, valid = policy.teams[team].keys, policy.valid_keys(team)
    for name, needed in (("signatures", rule.signatures), ("builders", rule.builders)):
        if needed > len(keys):
            yield f"{where}.{name} is {needed}, but team {team!r} has {len(keys)} keys; add keys, or lower it"
        elif needed > len(valid):
            lost = ", ".join(f"{who} ({policy.revoked[key.id]})" for who, key in keys.items() if key not in valid)
            yield (
                f"{where} needs {needed} keys of team {team!r}, but only {len(valid)} are valid; revoked are {lost}; "
                f"add a new key to teams.{team}.keys"
            )


def _places(policy: Policy) -> Iterator[tuple[PublicKey, str]]:
    """Yield each key with its place in the file. Others may sign several tiers, with the same key."""
    for name, team in policy.teams.items():
        yield from ((key, f"teams.{name}.keys.{person}") for person, key in team.keys.items())
    others = {
        key: f"tiers.{tier}.signed_by.{name}"
        for tier, rule in policy.tiers.items()
        for name, key in rule.signed_by.items()
    }
    yield from others.items()
