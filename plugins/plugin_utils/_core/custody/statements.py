# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the facts about an image as in-toto statements: its provenance, its tests, and that it was signed.

Equal facts give equal statements, byte for byte. So a second person can sign the same bytes, and an image that was
signed is not signed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ..build_key.source_version import Commit
from ..signing.statement import Statement, Subject
from .build_facts import BuildFacts, Material
from .gate_facts import OWN, GateFacts, SuiteFolder
from .predicates import BUILD_TYPE, BUILDER, GATE, PROVENANCE, SIGNATURE, TESTED_ON, TierImage

_SHA256 = "sha256:"


def provenance_statement(image: TierImage, facts: BuildFacts) -> Statement:
    """Return the SLSA provenance of an image, from the facts about its build."""
    source = _source(facts)
    external: dict[str, Any] = {"chain": facts.chain, "tier": facts.tier, "team": facts.team}
    if facts.role is not None:
        external["role"] = facts.role
    if source:
        external["source"] = source
    internal: dict[str, Any] = {"key": facts.key, "parts": dict(facts.parts), "epoch": facts.epoch}
    if facts.cage:
        internal["cage"] = dict(facts.cage)
    if facts.ansible_core:
        internal["ansible-core"] = facts.ansible_core
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": external,
            "internalParameters": internal,
            "resolvedDependencies": list(_dependencies(facts)),
        },
        "runDetails": {
            "builder": {"id": BUILDER + quote(facts.builder, safe=""), "version": {"tierwright": facts.version}},
            "metadata": {"invocationId": facts.run, "startedOn": facts.started, "finishedOn": facts.finished},
            "byproducts": list(_byproducts(facts)),
        },
    }
    return Statement(image.subjects(), PROVENANCE, predicate)


def gate_statement(image: TierImage, facts: GateFacts) -> Statement:
    """Return the results of the tests of an image. Tests that were skipped are warnings: they did not pass."""
    tests = [
        {
            "name": f"tests of {each.tier}",
            "digest": {"sha256": each.digest},
            "annotations": _describe_folder(each),
        }
        for each in facts.folders
    ]
    neighbours = [
        {
            "name": f"neighbour {name}",
            "digest": {"sha256": facts.neighbours[name].removeprefix(_SHA256)},
            "annotations": {"kind": "neighbour"},
        }
        for name in sorted(facts.neighbours)
    ]
    predicate = {
        "result": "FAILED" if facts.failed else "PASSED",
        "configuration": [*tests, *neighbours],
        "passedTests": list(facts.passed),
        "warnedTests": list(facts.skipped),
        "failedTests": list(facts.failed),
        TESTED_ON: facts.tested,
    }
    return Statement(image.subjects(), GATE, predicate)


def _describe_folder(folder: SuiteFolder) -> Mapping[str, str]:
    """Return the annotations of tests. ``contracts`` says that no descendant has a contract of this tier to pass."""
    annotations = {"tier": folder.tier, "team": folder.team, "kind": folder.kind}
    if folder.origin:
        annotations["origin"] = folder.origin
    if folder.kind == OWN and not folder.contracts:
        annotations["contracts"] = "none"
    return annotations


def signature_statement(manifest: str) -> Statement:
    """Return the statement that ``cosign verify`` asks for. It has no other content than the image.

    Args:
        manifest: ``sha256:…`` of the image's manifest.
    """
    return Statement((Subject("", manifest),), SIGNATURE, {})


def _source(facts: BuildFacts) -> Mapping[str, Any]:
    commit, source = facts.commit, facts.source
    if commit is None:
        return {}
    if source is None:  # ansible-galaxy installed the role
        return {"version": commit.id, "clean": commit.clean}
    return {
        "repository": source.repository,
        "branch": source.branch,
        "commit": commit.id,
        "clean": commit.clean and source.clean,
    }


def _byproducts(facts: BuildFacts) -> Iterator[Mapping[str, Any]]:
    yield {"name": "who", "annotations": {"user": facts.user, "machine": facts.machine}}
    if facts.built is not None:
        yield {"name": "same content", "digest": {"sha256": facts.built.removeprefix(_SHA256)}}


def _dependencies(facts: BuildFacts) -> Iterator[Mapping[str, Any]]:
    if (parent := facts.parent) is not None:
        described = {
            "name": "parent",
            "uri": f"tier:{quote(parent.tier, safe='')}",
            "digest": {"sha256": parent.config.removeprefix(_SHA256)},
        }
        yield described | ({"annotations": {"manifest": parent.manifest}} if parent.manifest else {})
    if facts.commit is not None:
        if facts.source is not None:
            yield _git_source(facts.source.repository, facts.source.branch, facts.commit)
        elif (collection := _collection_of(facts.role or "")) is not None:
            yield {"name": "source", "uri": f"pkg:ansible/{collection}@{quote(facts.commit.id, safe='')}"}
    for material in facts.materials:
        yield _resource(material)


def _collection_of(role: str) -> str | None:
    """Return the collection of ``namespace.collection.role``; ``None`` for a role of a different kind."""
    namespace, dot, rest = role.partition(".")
    collection, more, _name = rest.partition(".")
    return f"{namespace}.{collection}" if dot and more and "/" not in role else None


def _git_source(repository: str, branch: str, commit: Commit) -> Mapping[str, Any]:
    uri = {"uri": f"git+{repository}" + (f"@refs/heads/{branch}" if branch else "")} if repository else {}
    return {"name": "source", **uri, "digest": {"gitCommit": commit.id}}


def _resource(material: Material) -> Mapping[str, Any]:
    more = {"digest": dict(material.digest), "annotations": dict(material.annotations)}
    return {"name": material.name, "uri": material.uri, **{key: value for key, value in more.items() if value}}
