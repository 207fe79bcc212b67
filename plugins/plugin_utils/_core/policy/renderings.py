# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a policy requires of the signatures of an image, in the languages of engines and clusters.

They check who signed an image when it is pulled or started. None of them knows parents, tests, sources or builders, so
a rendering never replaces the decision. Each says in its notes which signatures its reader understands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import msgspec
import yaml

from ..chain.names import is_repository, split_registry
from ..errors import TrustError
from ..signing.public_key import PublicKey
from .policy import OTHERS, Policy

#: Limit for the alternatives that a threshold is written with.
_MOST_CHOICES = 100
_DIGEST = 12
_NEVER = (
    "It checks signatures only: neither parents, layers, tests, sources nor builders. `tierwright verify` checks them."
)


class Rendering(msgspec.Struct, frozen=True):
    """A rendered policy."""

    text: str
    #: What its reader does and does not check: sentences for the user.
    notes: tuple[str, ...]


class SignatureRule(msgspec.Struct, frozen=True):
    """Who must sign the images in a repository."""

    tier: str
    #: Host and name, without a tag.
    repository: str
    #: The valid keys, with their owners.
    keys: tuple[tuple[str, PublicKey], ...]
    #: How many of them must sign.
    needed: int

    def choices(self) -> list[tuple[tuple[str, PublicKey], ...]]:
        """Return sets of keys: an image has enough signatures exactly if each set has a key that signed it.

        A reader that knows only "one of these keys" can require a threshold in this way.

        Raises:
            TrustError: There are too many sets.
        """
        count = len(self.keys) - self.needed + 1
        if math.comb(len(self.keys), count) > _MOST_CHOICES:
            raise TrustError(
                f"tiers.{self.tier} needs {self.needed} of {len(self.keys)} keys, which takes more than "
                f"{_MOST_CHOICES} rules here; use --format kyverno or kyverno-image, which count signatures"
            )
        return list(combinations(self.keys, count))


def signature_rules(policy: Policy, repositories: Mapping[str, str]) -> list[SignatureRule]:
    """Return who must sign the images in some repositories.

    Args:
        policy: The policy.
        repositories: By tier, host and name of its repository: ``registry.example.org/operations/corebuild``.

    Raises:
        TrustError: A tier is not in the policy, or a repository is no name in a registry.
    """
    if not repositories:
        raise TrustError("no repository is given; add --repository TIER=REPOSITORY for each tier that is deployed")
    tiers: dict[str, str] = {}
    for tier, repository in repositories.items():
        if repository in tiers:
            raise TrustError(
                f"tiers {tiers[repository]!r} and {tier!r} have the same repository {repository}, so a signature does "
                "not tell them apart; give each its own"
            )
        tiers[repository] = tier
    return list(_rules(policy, repositories))


def _rules(policy: Policy, repositories: Mapping[str, str]) -> Iterator[SignatureRule]:
    for tier, repository in repositories.items():
        if not is_repository(repository) or split_registry(repository) is None:
            raise TrustError(
                f"the repository of tier {tier!r} is {repository!r}; expected the host of a registry and a name there, "
                "without a tag: registry.example.org/operations/corebuild"
            )
        rule = policy.rule(tier)
        if rule is None:
            raise TrustError(f"the policy has no rule for tier {tier!r}, and none for {OTHERS!r}; correct the name")
        keys = policy.teams[rule.team].keys if rule.team is not None else rule.signed_by
        valid = tuple((name, key) for name, key in keys.items() if key.id not in policy.revoked)
        yield SignatureRule(tier, repository, valid, rule.signatures if rule.team is not None else 1)


def header(policy: Policy, notes: Sequence[str]) -> str:
    """Return the comment at the head of a YAML rendering."""
    digest = policy.digest.removeprefix("sha256:")[:_DIGEST]
    made = f"Made by `tierwright policy render` from version {policy.version} of the policy ({digest}). Do not edit it."
    return "".join(f"# {line}\n" for line in (made, *notes, _NEVER))


def notes_of(*notes: str) -> tuple[str, ...]:
    """Return notes with the one that all renderings have."""
    return (*notes, _NEVER)


def globs(repository: str) -> list[str]:
    """Return patterns for all images in a repository, by tag and by digest."""
    return [f"{repository}:*", f"{repository}@*"]


def resource_name(tier: str, number: int = 0) -> str:
    """Return a valid name of a resource in Kubernetes for a tier."""
    plain = "".join(char if char.isascii() and char.isalnum() else "-" for char in tier.lower()).strip("-") or "tier"
    return f"tierwright-{plain[:200]}" + (f"-{number}" if number else "")


class _ResourceDumper(yaml.SafeDumper):
    """Writes texts of several lines, such as keys, as blocks, and repeats values instead of naming them."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_ResourceDumper.add_representer(str, _represent_text)


def write_resources(policy: Policy, notes: Sequence[str], resources: Sequence[Mapping[str, Any]]) -> Rendering:
    """Return resources of Kubernetes as a rendering."""
    documents = yaml.dump_all([dict(each) for each in resources], Dumper=_ResourceDumper, sort_keys=False, width=120)
    return Rendering(f"{header(policy, notes)}---\n{documents.removeprefix('---').lstrip()}", notes_of(*notes))
