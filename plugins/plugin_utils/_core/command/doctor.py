# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright doctor``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..doctor import checks
from ..doctor.checks import Findings, FindingState
from .output import Table, json_option, show


@click.command()
@json_option
@click.pass_context
def verb(ctx: click.Context, *, as_json: bool) -> None:
    """Check whether this machine can build chains, and show how to fix problems.

    The exit status is 1 if no chain can be built. The command changes nothing.
    """
    answer = Findings.of([*checks.examine_engine(), *checks.examine_machine()])
    show(answer, lambda: _render(answer), as_json=as_json)
    if not answer.can_build:
        ctx.exit(1)


def _render(answer: Findings) -> Iterator[str | Table]:
    rows = [(finding.thing, finding.state, finding.found) for finding in answer.findings]
    yield Table(("THING", "STATE", "FOUND"), rows)
    with_advice = [finding for finding in answer.findings if finding.advice]
    if with_advice:
        yield ""
    for finding in with_advice:
        yield f"{finding.thing}: {finding.advice}"
    yield ""
    is_limited = any(finding.state is FindingState.LIMITED for finding in answer.findings)
    yield (
        "no chain can be built here"
        if not answer.can_build
        else "chains can be built here, within these limits"
        if is_limited
        else "chains can be built here"
    )
