# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings in a report of ``grype --output json`` (https://github.com/anchore/grype, ``schema/grype``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from .scanned_finding import ScannedFinding, scanned_package, worst

_NO_FIX = frozenset({"not-fixed", "wont-fix"})


class GrypeFix(msgspec.Struct):
    """``vulnerability.fix``."""

    versions: list[str] | None = None
    state: str | None = None


class GrypeVulnerability(msgspec.Struct):
    """``vulnerability``."""

    id: str | None = None
    severity: str | None = None
    fix: GrypeFix | None = None


class GrypeLocation(msgspec.Struct):
    """An item of ``artifact.locations``."""

    path: str | None = None
    layer: str | None = msgspec.field(name="layerID", default=None)


class GrypeArtifact(msgspec.Struct):
    """``artifact``."""

    name: str | None = None
    version: str | None = None
    type: str | None = None
    purl: str | None = None
    locations: list[GrypeLocation] | None = None


class GrypeIgnoreRule(msgspec.Struct):
    """An item of ``appliedIgnoreRules``."""

    reason: str | None = None
    vex_status: str | None = msgspec.field(name="vex-status", default=None)
    vex_justification: str | None = msgspec.field(name="vex-justification", default=None)


class GrypeMatch(msgspec.Struct):
    """An item of ``matches`` or ``ignoredMatches``."""

    vulnerability: GrypeVulnerability
    artifact: GrypeArtifact
    rules: list[GrypeIgnoreRule] | None = msgspec.field(name="appliedIgnoreRules", default=None)


class GrypeTarget(msgspec.Struct):
    """``source.target`` of an image."""

    image_id: str | None = msgspec.field(name="imageID", default=None)


class GrypeSource(msgspec.Struct):
    """``source``."""

    #: An object for an image, a text for a folder.
    target: GrypeTarget | str | None = None


def read_grype(matches: Iterable[GrypeMatch], ignored: Iterable[GrypeMatch]) -> Iterator[ScannedFinding]:
    """Yield the findings."""
    yield from (_finding(match, "") for match in matches)
    yield from (_finding(match, _reason(match.rules or ())) for match in ignored)


def _finding(match: GrypeMatch, analysis: str) -> ScannedFinding:
    artifact, fix = match.artifact, match.vulnerability.fix or GrypeFix()
    locations = artifact.locations or []
    return ScannedFinding(
        vulnerability=match.vulnerability.id or "",
        severity=worst([match.vulnerability.severity]),
        package=scanned_package(artifact.purl, artifact.name, artifact.version, artifact.type),
        fixed_in=tuple(fix.versions or ()),
        has_no_fix=not fix.versions and fix.state in _NO_FIX,
        paths=tuple(location.path or "" for location in locations),
        layer=next((location.layer for location in locations if location.layer), ""),
        analysis=analysis,
        is_settled=bool(analysis),
    )


def _reason(rules: Iterable[GrypeIgnoreRule]) -> str:
    """Describe the rules that made grype ignore a match. Without any, grype still ignored it."""
    parts = [
        " ".join(filter(None, (rule.vex_status, rule.vex_justification, rule.reason))) or "ignored by a rule"
        for rule in rules
    ]
    return "; ".join(dict.fromkeys(parts)) or "ignored by grype"
