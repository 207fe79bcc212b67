# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings in a report of ``trivy image --format json``, of schema version 2.

https://trivy.dev/docs/latest/configuration/reporting/. Packages of languages have a path (``PkgPath``). Findings that
trivy suppresses are in the report only with ``--show-suppressed``.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from .scanned_finding import SYSTEM, ScannedFinding, scanned_package, worst

_SYSTEM_CLASS = "os-pkgs"
#: States without a fixed version. Reports of trivy before 0.46 have no state.
_NO_FIX = frozenset({"", "affected", "will_not_fix", "fix_deferred", "end_of_life"})
_SETTLED = frozenset({"not_affected", "fixed", "ignored"})


class TrivyPackageId(msgspec.Struct, rename="upper"):
    """``PkgIdentifier``."""

    purl: str | None = None


class TrivyLayer(msgspec.Struct):
    """``Layer``."""

    diff_id: str | None = msgspec.field(name="DiffID", default=None)


class TrivyVulnerability(msgspec.Struct, rename="pascal"):
    """An item of ``Vulnerabilities``."""

    vulnerability_id: str | None = msgspec.field(name="VulnerabilityID", default=None)
    pkg_name: str | None = None
    installed_version: str | None = None
    fixed_version: str | None = None
    status: str | None = None
    severity: str | None = None
    pkg_path: str | None = None
    pkg_identifier: TrivyPackageId | None = None
    layer: TrivyLayer | None = None


class TrivyModification(msgspec.Struct, rename="pascal"):
    """An item of ``ExperimentalModifiedFindings``."""

    type: str | None = None
    status: str | None = None
    statement: str | None = None
    source: str | None = None
    finding: TrivyVulnerability | None = None


class TrivyResult(msgspec.Struct, rename="pascal"):
    """An item of ``Results``."""

    target: str | None = None
    class_: str | None = msgspec.field(name="Class", default=None)
    type: str | None = None
    vulnerabilities: list[TrivyVulnerability] | None = None
    experimental_modified_findings: list[TrivyModification] | None = None


class TrivyMetadata(msgspec.Struct):
    """``Metadata``."""

    image_id: str | None = msgspec.field(name="ImageID", default=None)


def read_trivy(results: list[TrivyResult]) -> Iterator[ScannedFinding]:
    """Yield the findings."""
    for result in results:
        for vulnerability in result.vulnerabilities or ():
            yield _finding(result, vulnerability, vulnerability.status or "", "")
        for change in result.experimental_modified_findings or ():
            if change.type == "vulnerability" and change.finding:
                reason = ": ".join(filter(None, (change.source, change.statement)))
                yield _finding(result, change.finding, change.status or "", reason)


def _finding(result: TrivyResult, found: TrivyVulnerability, status: str, reason: str) -> ScannedFinding:
    is_system = result.class_ in {None, _SYSTEM_CLASS}
    is_settled = status in _SETTLED and (status != "fixed" or bool(reason))
    purl = found.pkg_identifier.purl if found.pkg_identifier else None
    kind = SYSTEM if is_system else result.type or result.class_
    return ScannedFinding(
        vulnerability=found.vulnerability_id or "",
        severity=worst([found.severity]),
        package=scanned_package(purl, found.pkg_name, found.installed_version, kind),
        fixed_in=tuple((found.fixed_version or "").split(", ")),
        has_no_fix=not found.fixed_version and status in _NO_FIX,
        paths=() if is_system else (found.pkg_path or result.target or "",),
        layer=(found.layer.diff_id if found.layer else None) or "",
        analysis=" ".join(filter(None, (status, f"({reason})" if reason else ""))) if is_settled else "",
        is_settled=is_settled,
    )
