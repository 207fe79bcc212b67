# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright update``."""

from __future__ import annotations

import click

from ..errors import PlanError, wrap_errors
from ..handover.lock_update import LockUpdate, update_lines
from ..plan.playbook_answer import ask
from ..records import decode
from .output import json_option, show
from .progress_line import say

#: The playbook of this collection that writes the lock file.
PLAYBOOK = "tierwright.chain.update"

_NEWER = 1


@click.command()
@click.argument("tiers", nargs=-1, metavar="[TIER]... [-- ANSIBLE-PLAYBOOK OPTIONS]")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if something is newer.")
@click.option("-i", "--inventory", multiple=True, help="The inventory of the chain.")
@json_option
@click.pass_context
def verb(ctx: click.Context, tiers: tuple[str, ...], *, check: bool, inventory: tuple[str, ...], as_json: bool) -> None:
    """Show what is newer in the images of other teams that the chain follows, and write chain.lock.

    Without TIER, all tiers with tier_follow are updated. The registries are asked; no engine is needed.
    """
    count = next((number for number, name in enumerate(tiers) if name.startswith("-")), len(tiers))
    names, options = tiers[:count], tiers[count:]
    arguments = [*(word for path in inventory for word in ("-i", path)), *(["--check"] if check else []), *options]
    text = ask(
        PLAYBOOK,
        "tier_update_file",
        arguments,
        say,
        more={"tier_update": names},
    )
    with wrap_errors(f"the answer of ansible-playbook {PLAYBOOK}", PlanError):
        answer = decode(text, LockUpdate)
    show(answer, lambda: update_lines(answer), as_json=as_json)
    if check and any(tier.newer for tier in answer.tiers):
        ctx.exit(_NEWER)
