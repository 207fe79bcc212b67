# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright resume``."""

from __future__ import annotations

import json

import click

from ..errors import NotFoundError, UsageError
from ..plan.dry_run import PLAYBOOK
from ..plan.playbook_answer import become
from ..tier_build.keeping import find_kept, from_task
from .tier_options import chain_option, inventory_arguments


@click.command()
@click.argument("tier")
@click.argument("options", nargs=-1, metavar="[-- ANSIBLE-PLAYBOOK OPTIONS]")
@click.option("--from", "task", metavar="TASK", help="Begin with this task, in place of the failed one.")
@click.option("-i", "--inventory", multiple=True, help="The inventory; by default that of the failed run.")
@click.option("--playbook", default=PLAYBOOK, help="The playbook that builds the chain.")
@chain_option
def verb(
    tier: str,
    options: tuple[str, ...],
    *,
    task: str | None,
    inventory: tuple[str, ...],
    playbook: str,
    chain: str | None,
) -> None:
    """Go on with the failed build of TIER in its kept container, from the failed task.

    Tasks before it that changed something are not repeated. The result is tested, and gets the tag resumed-…; it is
    never released. Repeat the variables (-e) of the failed run after --.

    Example: tierwright resume httpd-php -- -e httpd_php_version=8.2
    """
    found = find_kept(tier, chain)
    if not found:
        raise NotFoundError(
            f"no container of a failed build of tier {tier!r} is kept; build it with -e tier_keep_failed=true"
        )
    if len(found) > 1:
        names = ", ".join(kept.chain for kept in found)
        raise UsageError(f"several chains have a kept container of tier {tier!r}: {names}; choose one with --chain")
    from_task(found[0], task)  # an unknown task must be known before the playbook starts
    variables = {"tier_resume": tier, **({"tier_resume_from": task} if task else {})}
    sources = inventory_arguments(inventory or found[0].request.inventory)
    become(playbook, [*sources, "--limit", tier, *options, "-e", json.dumps(variables)])
