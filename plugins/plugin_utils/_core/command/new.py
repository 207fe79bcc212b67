# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright new``: additions to a project."""

from __future__ import annotations

import importlib
from pathlib import Path

import click


@click.group()
def verb() -> None:
    """Add to a project: a tier, with its role and tests."""


@verb.command()
@click.argument("name")
@click.option("--parent", required=True, help="The tier that it is based on.")
@click.option("--team", help="The team that owns it; by default that of the parent.")
@click.option("--role", help="Its role. One that exists in roles/ is used as it is. By default, a new one is written.")
@click.option("-i", "--inventory", help="The inventory; by default that of ansible.cfg in this folder.")
def tier(name: str, *, parent: str, team: str | None, role: str | None, inventory: str | None) -> None:
    """Add the tier NAME to the inventory of the project in this folder, and write its role.

    The inventory keeps its comments and its layout. No file of a role is overwritten.

    \b
    Example:
      tierwright new tier proxy --parent core --team middleware
    """  # noqa: D301 - click reads the character
    adding = importlib.import_module("..project.add_tier", __package__)
    folder = Path()
    added = adding.add_to_project(folder, adding.find_inventory(folder, inventory), name, parent, team, role)
    click.echo(f"{added.inventory}: tier {added.tier.name} of team {added.tier.team}, based on {added.tier.parent}")
    if added.files:
        click.echo(f"roles/{added.tier.role}: {len(added.files)} files")
    else:
        click.echo(f"roles/{added.tier.role}: used as it is")
    click.echo(f"next:\n  ansible-playbook build-chain.yml --limit {added.tier.name}")
