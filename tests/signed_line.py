"""A line of images that keeps to a policy, with keys that exist only as names. The decision checks no signature."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.decision import judge_image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import (
    BUILD_TYPE,
    CYCLONEDX,
    GATE,
    PROVENANCE,
    ImageEvidence,
    SignedStatement,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.link import Link, failed
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy import Policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.rules import ReleaseRule, Team, TierRule
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import PublicKey
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import (
    Statement,
    Subject,
    write_statement,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
#: The tiers of the line, the base first, with their teams.
TIERS = {
    "base": "operations",
    "corebuild": "operations",
    "httpd-php": "middleware",
    "wordpress": "development",
    "shop": "development",
}
#: The people of each team.
PEOPLE = {"operations": ("alice", "bob", "eve"), "middleware": ("carol", "dave"), "development": ("erin", "frank")}
BUILDER = "https://tierwright.github.io/builder/"


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def key(person: str) -> PublicKey:
    return PublicKey(digest(f"key of {person}").removeprefix("sha256:"), f"pem of {person}")


def make_policy(**rules: dict[str, Any]) -> Policy:
    """Make the policy of the line. Rules are changed by tier, with ``_`` for ``-``."""
    tiers = {
        tier: TierRule(
            team=team,
            repositories=(f"https://git.example.org/{team}/*",),
            branches=("main",),
            tests=(f"roles/{tier}/tests/*::*",) if tier != "base" else (),
            sbom=True,
            writes=("/etc", "/usr/**"),
        )
        for tier, team in TIERS.items()
    }
    tiers["corebuild"] = replace(tiers["corebuild"], signatures=2, builders=2)
    for tier, changes in rules.items():
        name = tier.replace("_", "-")
        tiers[name] = replace(tiers[name], **changes)
    return Policy(
        version=3,
        expires=datetime(2027, 6, 30, tzinfo=UTC),
        digest=digest("policy"),
        teams={team: Team(team, {person: key(person) for person in people}) for team, people in PEOPLE.items()},
        tiers=tiers,
        releases=ReleaseRule(("operations",), 14),
        base_age=90,
        outdated={"openssl": 7, "*": 30},
    )


def sign(kind: str, subjects: list[Subject], predicate: dict[str, Any], *people: str) -> SignedStatement:
    statement = Statement(tuple(subjects), kind, predicate)
    return SignedStatement(statement, write_statement(statement), tuple(key(person) for person in people))


def again(signed: SignedStatement, **changes: Any) -> SignedStatement:
    """Return the same with a changed statement, signed by the same keys."""
    statement = replace(signed.statement, **changes)
    return replace(signed, statement=statement, payload=write_statement(statement))


def provenance(tier: str, parent: ImageEvidence | None, builder: str) -> dict[str, Any]:
    team = TIERS[tier]
    named = [] if parent is None else [_parent(parent)]
    source = {
        "repository": f"https://git.example.org/{team}/roles.git",
        "branch": "main",
        "commit": "c0ffee" * 6 + "c0ff",
        "clean": True,
    }
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"chain": "shop", "tier": tier, "team": team, "role": tier, "source": source},
            "internalParameters": {},
            "resolvedDependencies": [*named, {"name": "source", "digest": {"gitCommit": source["commit"]}}],
        },
        "runDetails": {"builder": {"id": BUILDER + builder}, "metadata": {}},
    }


def _parent(parent: ImageEvidence) -> dict[str, Any]:
    return {
        "name": "parent",
        "uri": f"tier:{parent.tier}",
        "digest": {"sha256": parent.config.removeprefix("sha256:")},
        "annotations": {"manifest": parent.manifest},
    }


def gate(tier: str, above: list[str]) -> dict[str, Any]:
    suites = [(tier, "own")] * (tier != "base") + [(name, "contract") for name in above if name != "base"]
    return {
        "result": "PASSED",
        "configuration": [
            {
                "name": f"tests of {name}",
                "digest": {"sha256": digest(name).removeprefix("sha256:")},
                "annotations": {"tier": name, "team": TIERS[name], "kind": kind},
            }
            for name, kind in suites
        ],
        "passedTests": [f"roles/{name}/tests/test_it.py::test_works" for name, _kind in suites],
        "warnedTests": [],
        "failedTests": [],
    }


def make_line() -> list[ImageEvidence]:
    """Make a line of five images that keeps to the policy."""
    line: list[ImageEvidence] = []
    for tier, team in TIERS.items():
        below = line[-1] if line else None
        layers = (*(below.layers if below else ()), digest(f"layer of {tier}"))
        config, manifest = digest(f"config of {tier}"), digest(f"manifest of {tier}")
        subjects = [Subject(tier, manifest), Subject("config", config), Subject("layer", layers[-1])]
        first, second, *_ = PEOPLE[team]
        both = tier == "corebuild"
        people = (first, second) if both else (first,)
        results = gate(tier, [image.tier for image in line])
        statements = [
            sign(PROVENANCE, subjects, provenance(tier, below, "one"), first),
            *([sign(PROVENANCE, subjects, provenance(tier, below, "two"), second)] if both else []),
            *([sign(GATE, subjects, results, *people)] if below else []),  # the base has no tests
            sign(CYCLONEDX, subjects, {"bomFormat": "CycloneDX"}, *people),
        ]
        line.append(
            ImageEvidence(
                tier=tier,
                config=config,
                manifest=manifest,
                layers=layers,
                parent=below.config if below else None,
                statements=tuple(statements),
                built=datetime(2026, 10, 1, tzinfo=UTC),
                chain="shop",
                outdated={"openssl": 7, "bash": 12},
                written=("/etc/motd", "/usr/bin/x"),
            )
        )
    return line


def judge(line: list[ImageEvidence] | None = None, policy: Policy | None = None, now: datetime = NOW) -> list[Link]:
    """Return the links of a line that failed."""
    return failed(judge_image(policy or make_policy(), line or make_line(), now))


def found(*arguments: Any, **named: Any) -> list[tuple[str, str, str]]:
    """Return tier, name and what was found, of the links that failed."""
    return [(link.tier, link.name, link.detail) for link in judge(*arguments, **named)]
