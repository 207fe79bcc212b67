# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright try-candidate``."""

from __future__ import annotations

import click

from ..plan.playbook_answer import become

#: The playbook of this collection that tries the candidates of other teams.
PLAYBOOK = "tierwright.chain.try_candidate"


@click.command()
@click.argument("options", nargs=-1, metavar="[-- ANSIBLE-PLAYBOOK OPTIONS]")
@click.option("-i", "--inventory", multiple=True, help="The inventory of the chain.")
def verb(options: tuple[str, ...], *, inventory: tuple[str, ...]) -> None:
    """Build and test upon the candidates of the teams that the chain follows, and publish the verdicts.

    Nothing is released. The exit status is that of ansible-playbook: 0 if all tiers say yes, or if there is nothing to
    try.
    """
    become(PLAYBOOK, [*(word for path in inventory for word in ("-i", path)), *options])
