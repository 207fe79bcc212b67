# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options and helpers of the verbs that work on one tier of a chain."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import click

from ..errors import PlanError, wrap_errors
from ..plan.playbook_answer import ask

chain_option = click.option("--chain", help="The chain of the tier, if several chains have a tier of this name.")


def inventory_arguments(inventories: Sequence[str]) -> list[str]:
    """Return the options of ansible-playbook for inventories."""
    return [word for path in inventories for word in ("-i", path)]


def learn_chain(playbook: str, inventories: Sequence[str], say: Callable[[str], None]) -> str:
    """Plan the chain of an inventory with ``ansible-playbook --check``, so that its tiers are known on this machine.

    Returns:
        The name of the chain.

    Raises:
        PlanError: ansible-playbook made no plan.
    """
    answer = ask(playbook, "tier_plan_file", ["--check", *inventory_arguments(inventories)], say)
    with wrap_errors(f"the plan that ansible-playbook {playbook} made", PlanError):
        return str(json.loads(answer)["chain"])
