# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings in a document of CycloneDX that has ``vulnerabilities``, for example a VEX document.

https://cyclonedx.org/docs/1.6/json/#vulnerabilities. A VEX document usually names components of another document, as a
BOM-Link: ``urn:cdx:SERIAL/VERSION#REFERENCE``. A reference that is a package URL, as in our own documents, is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

import msgspec

from .scanned_finding import ScannedFinding, scanned_package, worst

_SETTLED = frozenset({"resolved", "resolved_with_pedigree", "false_positive", "not_affected"})
_LINK = "urn:cdx:"


class CycloneDxComponent(msgspec.Struct):
    """A component."""

    name: str | None = None
    version: str | None = None
    purl: str | None = None
    reference: str | None = msgspec.field(name="bom-ref", default=None)
    components: list[CycloneDxComponent] | None = None


class CycloneDxRating(msgspec.Struct):
    """An item of ``ratings``."""

    severity: str | None = None


class CycloneDxVersion(msgspec.Struct):
    """An item of ``affects[].versions``."""

    version: str | None = None
    status: str | None = None


class CycloneDxAffected(msgspec.Struct):
    """An item of ``affects``."""

    ref: str
    versions: list[CycloneDxVersion] | None = None


class CycloneDxAnalysis(msgspec.Struct):
    """``analysis``."""

    state: str | None = None
    justification: str | None = None
    detail: str | None = None


class CycloneDxVulnerability(msgspec.Struct):
    """An item of ``vulnerabilities``."""

    id: str | None = None
    ratings: list[CycloneDxRating] | None = None
    affects: list[CycloneDxAffected] | None = None
    analysis: CycloneDxAnalysis | None = None


def read_cyclonedx(
    components: Iterable[CycloneDxComponent], vulnerabilities: Iterable[CycloneDxVulnerability]
) -> Iterator[ScannedFinding]:
    """Yield the findings: one for each package that a vulnerability affects."""
    by_reference = {each.reference: each for each in _all(components) if each.reference}
    for vulnerability in vulnerabilities:
        for affected in vulnerability.affects or [CycloneDxAffected("")]:
            yield _finding(vulnerability, affected, _component(affected.ref, by_reference))


def _all(components: Iterable[CycloneDxComponent]) -> Iterator[CycloneDxComponent]:
    todo = list(components)
    while todo:
        component = todo.pop()
        yield component
        todo += component.components or ()


def _component(reference: str, known: Mapping[str, CycloneDxComponent]) -> CycloneDxComponent:
    """Return the component that a reference names. Of an unknown one, the reference itself is the name."""
    if reference in known:
        return known[reference]
    if reference.startswith(_LINK):
        reference = unquote(reference.partition("#")[2])
    if reference in known:
        return known[reference]
    is_purl = reference.startswith("pkg:")
    return CycloneDxComponent(purl=reference) if is_purl else CycloneDxComponent(name=reference)


def _finding(
    vulnerability: CycloneDxVulnerability, affected: CycloneDxAffected, component: CycloneDxComponent
) -> ScannedFinding:
    analysis = vulnerability.analysis or CycloneDxAnalysis()
    # Some tools give an unaffected version: it is the one to update to.
    unaffected = tuple(each.version or "" for each in affected.versions or () if each.status == "unaffected")
    described = ", ".join(filter(None, (analysis.state, analysis.justification)))
    return ScannedFinding(
        vulnerability=vulnerability.id or "",
        severity=worst(rating.severity for rating in vulnerability.ratings or ()),
        package=scanned_package(component.purl, component.name, component.version),
        fixed_in=unaffected,
        analysis=": ".join(filter(None, (described, analysis.detail))),
        is_settled=analysis.state in _SETTLED,
    )
