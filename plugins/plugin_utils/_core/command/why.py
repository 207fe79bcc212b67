# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright why``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..errors import UsageError
from ..layer_index.index import Store
from ..plan.dry_run import PLAYBOOK, Now, ask
from ..text import short
from ..views.release_history import Why
from ..views.release_history import why as tell
from .output import Table, json_option, show


@click.command()
@click.argument("tier")
@click.argument("arguments", nargs=-1, metavar="[-- ANSIBLE-PLAYBOOK OPTIONS]")
@click.option("--now", is_flag=True, help="Ask what a run would do now; nothing is built.")
@click.option("-i", "--inventory", multiple=True, help="The inventory for --now, which it implies.")
@click.option("-p", "--playbook", default=PLAYBOOK, show_default=True, help="What the chain is built with, for --now.")
@json_option
def verb(
    tier: str, arguments: tuple[str, ...], *, now: bool, inventory: tuple[str, ...], playbook: str, as_json: bool
) -> None:
    """Show why TIER's current image was built: what differs from the release before.

    With an inventory, or --now: whether a run would build it now, and why.
    """
    if now or inventory:
        options = [each for path in inventory for each in ("-i", path)]
        team, plan = ask(tier, playbook, [*options, *arguments], lambda text: click.echo(text, err=True))
        found = Why(tier, team, None, None, None, plan)
    elif arguments:
        raise UsageError("options of ansible-playbook belong to --now; add it")
    else:
        found = tell(tier, Store())
    show(found, lambda: _drawn(found), as_json=as_json)


def _drawn(found: Why) -> Iterator[str | Table]:
    if found.now is not None:
        yield from _planned(found.tier, found.team, found.now)
    if found.release is not None:
        yield f"{found.tier}, team {found.team or '-'}: {short(found.release.image)} of {_when(found.release.when)}"
        if found.before is None:
            yield "there is no release before it here to compare it with"
        elif found.reasons is None:
            yield f"{short(found.before.image)} was before it; one of the two does not say what it was built from"
        else:
            yield f"since {short(found.before.image)} of {_when(found.before.when)}:"
            yield from (f"  {reason}" for reason in found.reasons)


def _planned(tier: str, team: str | None, now: Now) -> Iterator[str]:
    doing = {"build": "a run would build it", "keep": f"a run would keep {short(now.image)}"}
    yield f"{tier}, team {team or '-'}: {doing.get(now.action, 'a run would leave it as it is')}"
    yield from (f"  {reason}" for reason in now.reasons)
    for cause in now.below:
        yield f"{cause.tier} would be built:"
        yield from (f"  {reason}" for reason in cause.reasons)


def _when(moment: str | None) -> str:
    return moment or "an unknown time"
