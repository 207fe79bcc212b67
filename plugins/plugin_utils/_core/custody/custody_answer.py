# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The answer to ``tierwright custody``: for each layer of an image, its team, person, commit, inputs and tests.

Only statements that a key of the policy signed are quoted. Without such a statement, a tier is listed with what the
image itself says, and with the links that fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..policy.evidence import CYCLONEDX, GATE, PARENT, SOURCE, SPDX, SignedStatement
from ..policy.link import Link
from ..policy.policy import Policy
from .line import TracedTier, dependencies, external_parameters, find_provenance, own_layer

_SBOM = frozenset({CYCLONEDX, SPDX})


class TierCustody(msgspec.Struct, frozen=True):
    """One tier of an image. Unknown values are ``null``."""

    tier: str
    team: str | None
    #: ``sha256:…`` of its own layer; ``null`` if the tier has none.
    layer: str | None
    #: ``sha256:…`` of the configuration and the manifest of its image.
    image: str
    manifest: str | None
    #: Who signed: ``alice of team 'operations'``.
    signed_by: list[str]
    #: Who built it, and where: ``alice on ci-1``.
    person: str | None
    builder: str | None
    role: str | None
    #: The repository of the role, its branch and commit, and whether it had no other changes.
    repository: str | None
    branch: str | None
    commit: str | None
    clean: bool | None
    #: RFC 3339 times.
    started: str | None
    finished: str | None
    #: What the build used from outside: addresses with their digests.
    inputs: list[str]
    #: Number of tests that passed; ``null`` if no signed statement says so.
    tests: int | None
    #: Tiers whose contracts it passed.
    contracts: list[str]
    #: Number of packages in the signed bill of materials of its layer.
    packages: int | None
    #: The links that were checked.
    links: list[Link]
    #: Records that cannot be read.
    problems: list[str] = msgspec.field(default_factory=list)


class Custody(msgspec.Struct, frozen=True):
    """The answer."""

    #: ``sha256:…`` of the image's configuration.
    image: str
    #: How the question named it.
    name: str
    #: Path and version of the policy; ``null`` if there is none, so that nothing is verified.
    policy: str | None
    policy_version: int | None
    #: Whether all links hold. Without a policy, ``false``.
    verified: bool
    #: The base first.
    tiers: list[TierCustody]
    #: Links about the image as a whole.
    links: list[Link]


def describe(traced: TracedTier, links: Sequence[Link], policy: Policy | None) -> TierCustody:
    """Describe one tier.

    Args:
        traced: The tier.
        links: Its checked links.
        policy: The policy; ``None`` if there is none. Then unsigned statements are quoted as well.
    """
    statements = [each for each in traced.evidence.statements if each.signers or policy is None]
    provenance = find_provenance(statements, traced.evidence.config)
    said = external_parameters(provenance)
    source = _mapping(said.get("source"))
    run = _mapping(provenance.statement.predicate.get("runDetails")) if provenance else {}
    metadata, gate = _mapping(run.get("metadata")), _find(statements, {GATE}, traced)
    signers = dict.fromkeys(key for each in statements for key in each.signers)
    bill = _find(statements, _SBOM, traced)
    return TierCustody(
        tier=traced.evidence.tier,
        team=_text(said.get("team")),
        layer=own_layer(provenance) if provenance else None,
        image=traced.evidence.config,
        manifest=traced.evidence.manifest,
        signed_by=[policy.owner(key) for key in signers] if policy else [],
        person=_person(run),
        builder=_text(_mapping(run.get("builder")).get("id")),
        role=_text(said.get("role")),
        repository=_text(source.get("repository")),
        branch=_text(source.get("branch")),
        commit=_text(source.get("commit")),
        clean=source["clean"] if isinstance(source.get("clean"), bool) else None,
        started=_text(metadata.get("startedOn")),
        finished=_text(metadata.get("finishedOn")),
        inputs=[_input(each) for each in dependencies(provenance) if each.get("name") not in {PARENT, SOURCE}],
        tests=len(_list(gate.statement.predicate.get("passedTests"))) if gate else None,
        contracts=_contracts(gate),
        packages=_count_packages(bill),
        links=list(links),
        problems=list(traced.problems),
    )


def _find(statements: Sequence[SignedStatement], kinds: Any, traced: TracedTier) -> SignedStatement | None:
    """Return the first statement of some kinds about an image."""
    config = traced.evidence.config
    found = (each for each in statements if each.statement.predicate_type in kinds)
    return next((each for each in found if config in each.statement.digests()), None)


def _person(run: Mapping[str, Any]) -> str | None:
    who = next((each for each in _list(run.get("byproducts")) if _mapping(each).get("name") == "who"), None)
    noted = _mapping(_mapping(who).get("annotations"))
    user, machine = _text(noted.get("user")), _text(noted.get("machine"))
    return f"{user} on {machine}" if user and machine else user


def _input(dependency: Mapping[str, Any]) -> str:
    digests = [f"{kind}:{value}" for kind, value in sorted(_mapping(dependency.get("digest")).items())]
    return " ".join([_text(dependency.get("uri")) or _text(dependency.get("name")) or "?", *digests])


def _contracts(gate: SignedStatement | None) -> list[str]:
    configuration = _list(gate.statement.predicate.get("configuration")) if gate else []
    noted = [_mapping(_mapping(each).get("annotations")) for each in configuration]
    tiers = (_text(each.get("tier")) for each in noted if each.get("kind") == "contract")
    return list(dict.fromkeys(tier for tier in tiers if tier))


def _count_packages(bill: SignedStatement | None) -> int | None:
    if bill is None:
        return None
    document = bill.statement.predicate
    return len(_list(document.get("components")) or _list(document.get("packages")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
