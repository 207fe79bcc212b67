# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright owners``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from ..layer_index.index import Store
from ..sbom.finding_owners import Duty, FindingOwners, OwnedFinding, TeamDuty, find_owners
from ..sbom.scan_report import read_report
from ..text import one_line
from ..transports.image import open_stack
from .output import Table, json_option, show

_HEADS = ("FINDING", "SEVERITY", "PACKAGE", "INSTALLED", "FIXED IN", "TIER", "INHERITED BY")
_SETTLED_HEADS = ("FINDING", "PACKAGE", "TEAM", "ANALYSIS")
_NOT_FOUND_HEADS = ("FINDING", "SEVERITY", "PACKAGE", "VERSION", "WHY")
_UNKNOWN = "no known team"
_NO_FIX = "none yet"


@click.command()
@click.argument("image")
@click.option(
    "--scan",
    "scans",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    metavar="FILE",
    help="A report of trivy, grype or CycloneDX, or a VEX document; can be repeated.",
)
@click.option("--team", metavar="TEAM", help="Only findings of this team.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if a team must act.")
@json_option
@click.pass_context
def verb(
    ctx: click.Context, image: str, *, scans: tuple[Path, ...], team: str | None, exit_code: bool, as_json: bool
) -> None:
    """Show which team must act on the findings of a vulnerability scanner, and which tiers inherit them.

    A finding belongs to the tier that installed or last changed the package in IMAGE.
    """
    reports = [read_report(path) for path in scans]
    answer = find_owners(open_stack(image, Store()), reports, team)
    show(answer, lambda: _render(answer), as_json=as_json)
    if exit_code and any(duty.act for duty in answer.teams):
        ctx.exit(1)


def _render(answer: FindingOwners) -> Iterator[str | Table]:
    for duty in answer.teams:
        yield _describe(duty)
        rows = [finding for finding in answer.findings if finding.team == duty.team]
        yield Table(_HEADS, [_row(finding) for finding in rows if finding.duty in {Duty.ACT, Duty.NO_FIX}])
        yield ""
    settled = [finding for finding in answer.findings if finding.duty is Duty.SETTLED]
    if settled:
        yield f"{_count(len(settled))} settled by an analysis"
        yield Table(_SETTLED_HEADS, [_settled_row(finding) for finding in settled])
        yield ""
    missing = [finding for finding in answer.findings if finding.duty is Duty.NOT_FOUND]
    if missing:
        yield f"{_count(len(missing))} in packages that the image does not have"
        yield Table(_NOT_FOUND_HEADS, [_missing_row(finding) for finding in missing])
        yield ""
    if not any(duty.act for duty in answer.teams):
        yield "no team must act"
    yield from answer.notes


def _describe(duty: TeamDuty) -> str:
    severities = ", ".join(f"{each.count} {each.severity}" for each in duty.severities)
    parts = [f"must act on {_count(duty.act)} ({severities})"] if duty.act else []
    parts += [f"owns {_count(duty.no_fix)} without a fix"] if duty.no_fix else []
    return f"{duty.team or _UNKNOWN}: {', and '.join(parts)}"


def _count(number: int) -> str:
    return f"{number:,} finding{'' if number == 1 else 's'}"


def _row(finding: OwnedFinding) -> tuple[str, ...]:
    fixed = ", ".join(finding.fixed_in) or (_NO_FIX if finding.duty is Duty.NO_FIX else "-")
    return (
        finding.vulnerability,
        finding.severity,
        _package(finding),
        finding.installed or finding.version or "-",
        one_line(fixed),
        one_line(finding.owner),
        ", ".join(finding.inherited_by) or "-",
    )


def _package(finding: OwnedFinding) -> str:
    """Return the package of the image. Of a file, the name in the report says more."""
    return finding.found[0] if finding.installed else f"{finding.package} ({finding.found[0]})"


def _settled_row(finding: OwnedFinding) -> tuple[str, ...]:
    return finding.vulnerability, _package(finding), finding.team or "-", one_line(finding.reason)


def _missing_row(finding: OwnedFinding) -> tuple[str, ...]:
    return (
        finding.vulnerability,
        finding.severity,
        finding.package or "-",
        finding.version or "-",
        one_line(finding.reason, 100),
    )
