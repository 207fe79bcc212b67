# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright why``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..errors import UsageError
from ..layer_index.index import Store
from ..plan.dry_run import PLAYBOOK, Now, predict
from ..text import short
from ..views.release_history import Why, why
from .output import Table, json_option, show
from .progress_line import say


@click.command()
@click.argument("tier")
@click.argument("arguments", nargs=-1, metavar="[-- ANSIBLE-PLAYBOOK OPTIONS]")
@click.option("--now", is_flag=True, help="Show what a run would do now, without building.")
@click.option("-i", "--inventory", multiple=True, help="The inventory of the chain; implies --now.")
@click.option("-p", "--playbook", default=PLAYBOOK, show_default=True, help="The playbook of the chain, for --now.")
@json_option
def verb(
    tier: str, arguments: tuple[str, ...], *, now: bool, inventory: tuple[str, ...], playbook: str, as_json: bool
) -> None:
    """Show why TIER's current image was built: what changed since the release before.

    With --now or an inventory, show whether a run would build TIER now, and why.
    """
    if now or inventory:
        options = [argument for path in inventory for argument in ("-i", path)]
        team, plan = predict(tier, playbook, [*options, *arguments], say)
        answer = Why(tier, team, None, None, None, plan)
    elif arguments:
        raise UsageError("options of ansible-playbook are only used with --now; add --now")
    else:
        answer = why(tier, Store())
    show(answer, lambda: _render(answer), as_json=as_json)


def _render(answer: Why) -> Iterator[str | Table]:
    if answer.now is not None:
        yield from _render_plan(answer.tier, answer.team, answer.now)
    if answer.release is not None:
        yield f"{answer.tier}, team {answer.team or '-'}: {short(answer.release.image)} of {_when(answer.release.when)}"
        if answer.before is None:
            yield "there is no earlier release here to compare it with"
        elif answer.reasons is None:
            yield f"the release before is {short(answer.before.image)}; one of the two does not record its key parts"
        else:
            yield f"since {short(answer.before.image)} of {_when(answer.before.when)}:"
            yield from (f"  {reason}" for reason in answer.reasons)


def _render_plan(tier: str, team: str | None, now: Now) -> Iterator[str]:
    actions = {"build": "a run would build it", "keep": f"a run would keep {short(now.image)}"}
    yield f"{tier}, team {team or '-'}: {actions.get(now.action, 'a run would not change it')}"
    yield from (f"  {reason}" for reason in now.reasons)
    for cause in now.below:
        yield f"{cause.tier} would be built:"
        yield from (f"  {reason}" for reason in cause.reasons)


def _when(moment: str | None) -> str:
    return moment or "an unknown time"
