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
    """Say whether this machine can build chains, and what to do about what is missing.

    The exit status is 1 where no chain can be built. Nothing is changed.
    """
    found = Findings.of([*checks.examine_engine(), *checks.examine_machine()])
    show(found, lambda: _drawn(found), as_json=as_json)
    if not found.can_build:
        ctx.exit(1)


def _drawn(found: Findings) -> Iterator[str | Table]:
    yield Table(("THING", "STATE", "FOUND"), [(each.thing, each.state, each.found) for each in found.findings])
    advised = [each for each in found.findings if each.advice]
    if advised:
        yield ""
    for each in advised:
        yield f"{each.thing}: {each.advice}"
    yield ""
    worse = any(each.state is FindingState.LIMITED for each in found.findings)
    yield (
        "no chain can be built here"
        if not found.can_build
        else "chains can be built here, within these limits"
        if worse
        else "chains can be built here"
    )
