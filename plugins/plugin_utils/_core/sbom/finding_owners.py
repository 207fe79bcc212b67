# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who must act on the findings of vulnerability scanners.

The tier whose layer last installed or changed a package owns the findings in it: its team rebuilds the tier, and all
tiers above inherit the result. Layers of others that no tier took belong to nobody that is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from ..transports.image import Stack
from .component_reader import read_components
from .components import ImageComponents, Owner, Part
from .package_finder import FoundPackages, PackageFinder
from .scan_report import ScanReport
from .scanned_finding import SEVERITIES, ScannedFinding, worst

#: Fixed versions and analyses of one finding that are shown.
_MOST = 20


class Duty(StrEnum):
    """What follows from a finding."""

    #: The team must act: there is a fixed version, or nobody knows whether there is one.
    ACT = "act"
    #: The scanner says that no version without the vulnerability exists yet.
    NO_FIX = "no fix"
    #: An analysis says that the package is not affected.
    SETTLED = "settled"
    #: The image does not have the package, or not in this version.
    NOT_FOUND = "not found"


class OwnedFinding(msgspec.Struct, frozen=True):
    """A finding with its owner."""

    vulnerability: str
    #: ``critical``, ``high``, ``medium``, ``low``, ``negligible``, ``info``, ``none`` or ``unknown``.
    severity: str
    duty: Duty
    #: Name and version in the report.
    package: str
    version: str
    #: Packages (``libssl3:amd64``) or files (``/usr/…``) of the image that it is about.
    found: list[str]
    #: Version in the image; ``null`` for files, and if nothing was found.
    installed: str | None
    fixed_in: list[str]
    #: The tier that installed or last changed the package; ``null`` if no tier did.
    tier: str | None
    #: The team that owns it: this team must act. ``null`` if it is not known.
    team: str | None
    #: Digest of the layer; ``null`` if the tier took an image of others.
    layer: str | None
    #: The tier, otherwise the layer with the command that made it; ``null`` if nothing was found.
    owner: str | None
    #: Tiers of this image that inherit the finding.
    inherited_by: list[str]
    #: What the analysis says, or why nothing was found; ``null`` otherwise.
    reason: str | None
    #: Paths of the reports that have the finding.
    reports: list[str]


class SeverityCount(msgspec.Struct, frozen=True):
    """Number of findings of one severity."""

    severity: str
    count: int


class TeamDuty(msgspec.Struct, frozen=True):
    """The findings of one team."""

    #: ``null`` for findings whose owner is not known.
    team: str | None
    #: Number of findings on which it must act, and number of those without a fix.
    act: int
    no_fix: int
    #: Number of findings on which it must act, by severity, the worst first.
    severities: list[SeverityCount]


class ReportSummary(msgspec.Struct, frozen=True):
    """A report that was read."""

    file: str
    #: ``trivy``, ``grype`` or ``cyclonedx``.
    form: str
    #: ID of the image that it is about; ``null`` if it does not say.
    image: str | None
    findings: int


class FindingOwners(msgspec.Struct, frozen=True):
    """The answer to ``tierwright owners``."""

    #: ID of the image.
    image: str
    names: list[str]
    reports: list[ReportSummary]
    #: Teams that own findings, the one with the most work first.
    teams: list[TeamDuty]
    #: By team, then the worst first.
    findings: list[OwnedFinding]
    #: One sentence for each thing that limits the answer.
    notes: list[str]


def find_owners(stack: Stack, reports: Sequence[ScanReport], team: str | None = None) -> FindingOwners:
    """Join the findings of reports to the tiers and teams of an image.

    Args:
        stack: The image.
        reports: The reports. The same finding in several of them is one finding.
        team: Only findings of this team; ``None`` for all.
    """
    image = read_components(stack)
    groups = _groups(PackageFinder(stack, image), reports)
    findings = [finding for group in groups for finding in _owned_findings(image, group)]
    shown = [each for each in findings if team is None or each.team == team]
    return FindingOwners(
        image=stack.document.id,
        names=list(stack.document.names),
        reports=[ReportSummary(each.file, each.form, each.image, len(each.findings)) for each in reports],
        teams=list(_teams(shown)),
        findings=sorted(shown, key=_order),
        notes=list(_notes(stack, image, reports, len(findings) - len(shown))),
    )


class _Group(msgspec.Struct):
    """What several reports say about one vulnerability of one package."""

    findings: list[ScannedFinding] = msgspec.field(default_factory=list)
    #: Paths of the reports, each once.
    reports: dict[str, None] = msgspec.field(default_factory=dict)
    #: By owner: what was found, and its names.
    found: dict[Owner, tuple[FoundPackages, dict[str, None]]] = msgspec.field(default_factory=dict)
    #: Why nothing was found.
    why_not: str = ""

    def add(self, finding: ScannedFinding, report: str, found: Iterable[FoundPackages]) -> None:
        self.findings.append(finding)
        self.reports[report] = None
        for each in found:
            _, names = self.found.setdefault(each.part.owner, (each, {}))
            names.update(dict.fromkeys(each.names))


def _groups(finder: PackageFinder, reports: Iterable[ScanReport]) -> Iterable[_Group]:
    """Group findings. A package of the distribution is known by what the image has, others by their name and version.

    So an analysis without a path, as in a VEX document, also applies to what a scanner found by its path.
    """
    groups: dict[tuple[str, ...], _Group] = {}
    for report in reports:
        for finding in report.findings:
            package, found = finding.package, finder.find(finding)
            key = (finding.vulnerability, package.kind, package.name.lower(), package.version)
            if found and found[0].version is not None:
                for each in found:
                    group = groups.setdefault((finding.vulnerability, *each.names, each.version or ""), _Group())
                    group.add(finding, report.file, [each])
            else:
                group = groups.setdefault(key, _Group())
                group.add(finding, report.file, found)
                group.why_not = group.why_not or ("" if found else finder.explain(finding))
    return groups.values()


def _owned_findings(image: ImageComponents, group: _Group) -> Iterator[OwnedFinding]:
    """Yield one finding for each owner, or one without an owner."""
    first = group.findings[0]
    analyses = list(dict.fromkeys(finding.analysis for finding in group.findings if finding.analysis))[:_MOST]
    fixed_in = dict.fromkeys(version for finding in group.findings for version in finding.fixed_in)
    unowned = OwnedFinding(
        vulnerability=first.vulnerability,
        severity=worst(finding.severity for finding in group.findings),
        duty=Duty.NOT_FOUND,
        package=first.package.name,
        version=first.package.version,
        found=[],
        installed=None,
        fixed_in=list(fixed_in)[:_MOST],
        tier=None,
        team=None,
        layer=None,
        owner=None,
        inherited_by=[],
        reason="; ".join([group.why_not, *analyses]),
        reports=list(group.reports),
    )
    if not group.found:
        yield unowned
    for owner, (found, names) in group.found.items():
        yield replace(
            unowned,
            duty=_duty(group.findings),
            found=list(names),
            installed=found.version,
            tier=owner.tier,
            team=owner.team,
            layer=owner.layer,
            owner=owner.called,
            inherited_by=list(_above(image, found.part)),
            reason="; ".join(analyses) or None,
        )


def _duty(findings: Sequence[ScannedFinding]) -> Duty:
    """Decide what follows. If one analysis says that somebody must act, no other analysis settles the finding."""
    analyzed = [finding for finding in findings if finding.analysis]
    if analyzed:
        return Duty.SETTLED if all(finding.is_settled for finding in analyzed) else Duty.ACT
    has_no_fix = all(finding.has_no_fix and not finding.fixed_in for finding in findings)
    return Duty.NO_FIX if has_no_fix else Duty.ACT


def _above(image: ImageComponents, part: Part) -> Iterator[str]:
    for other in image.parts[image.parts.index(part) + 1 :]:
        if other.owner.tier and other.owner.tier != part.owner.tier:
            yield other.owner.tier


def _teams(findings: Iterable[OwnedFinding]) -> Iterator[TeamDuty]:
    by_team: dict[str | None, list[OwnedFinding]] = {}
    for finding in findings:
        if finding.duty in {Duty.ACT, Duty.NO_FIX}:
            by_team.setdefault(finding.team, []).append(finding)
    duties = []
    for team, owned in by_team.items():
        act = [finding for finding in owned if finding.duty is Duty.ACT]
        counts = Counter(finding.severity for finding in act)
        severities = [SeverityCount(severity, counts[severity]) for severity in SEVERITIES if counts[severity]]
        duties.append(TeamDuty(team, len(act), len(owned) - len(act), severities))
    yield from sorted(duties, key=lambda duty: (-duty.act, -duty.no_fix, duty.team is None, duty.team or ""))


def _order(finding: OwnedFinding) -> tuple[object, ...]:
    duty = list(Duty).index(finding.duty)
    severity = SEVERITIES.index(finding.severity)
    return (
        finding.team is None,
        finding.team or "",
        duty,
        severity,
        finding.vulnerability,
        finding.package,
        finding.found,
    )


def _notes(stack: Stack, image: ImageComponents, reports: Iterable[ScanReport], hidden: int) -> Iterator[str]:
    for report in reports:
        if report.image and report.image != stack.document.id:
            yield f"{report.file} is about image {report.image}, not about this one ({stack.document.id})"
    yield from image.unread
    if hidden:
        yield f"{hidden} findings of other teams, or of packages that were not found, are not shown"
