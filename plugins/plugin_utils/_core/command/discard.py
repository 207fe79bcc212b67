# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright discard``."""

from __future__ import annotations

import click

from ..engine.engine import connect
from ..errors import NotFoundError, UsageError
from ..state.kept_builds import all_kept_builds
from ..tier_build.keeping import discard, find_kept
from .tier_options import chain_option


@click.command()
@click.argument("tiers", nargs=-1, metavar="TIER...")
@click.option("--all", "everything", is_flag=True, help="Remove all kept containers of this user.")
@chain_option
def verb(tiers: tuple[str, ...], *, everything: bool, chain: str | None) -> None:
    """Remove the kept containers of the failed builds of TIER.

    The next build of a tier and the playbook prune remove its kept container, too.

    Example: tierwright discard httpd-php
    """
    if everything == bool(tiers):
        names = ", ".join(f"{kept.tier} of chain {kept.chain}" for kept in all_kept_builds())
        raise UsageError(f"name the tiers, or add --all; kept are {names or 'no containers'}")
    builds = list(all_kept_builds()) if everything else []
    for tier in tiers:
        found = find_kept(tier, chain)
        if not found:
            raise NotFoundError(f"no container of a failed build of tier {tier!r} is kept")
        if len(found) > 1:
            names = ", ".join(kept.chain for kept in found)
            raise UsageError(f"several chains have a kept container of tier {tier!r}: {names}; choose one with --chain")
        builds += found
    engine = connect() if builds else None
    for kept in builds:
        if engine is not None and (chain is None or kept.chain == chain):
            discard(engine, kept)
            click.echo(f"{kept.tier}: removed the container of the build that failed in run {kept.run}")
