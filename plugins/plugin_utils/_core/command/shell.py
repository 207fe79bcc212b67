# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright shell``."""

from __future__ import annotations

from functools import partial

import click

from ..engine.engine import connect
from ..look_inside.opened import find_tier, opened
from ..plan.dry_run import PLAYBOOK
from .tier_options import chain_option, learn_chain

#: Starts the shell that an image has.
_SHELL = ("/bin/sh", "-c", "if [ -x /bin/bash ]; then exec /bin/bash; fi; exec /bin/sh")


@click.command()
@click.argument("tier")
@click.argument("command", nargs=-1, metavar="[-- COMMAND...]")
@click.option("-u", "--user", default="0:0", help="The user in the container (default: root).")
@click.option("--released", is_flag=True, help="Look into the released image, also after a failed build.")
@click.option("-i", "--inventory", multiple=True, help="Plan this inventory first, if no plan has seen the tier yet.")
@chain_option
@click.pass_context
def verb(
    ctx: click.Context,
    tier: str,
    command: tuple[str, ...],
    *,
    user: str,
    released: bool,
    inventory: tuple[str, ...],
    chain: str | None,
) -> None:
    """Open a shell in TIER: in the kept container of its failed build, or in a throw-away container.

    A throw-away container is one of the tier's image. For a tier that was never built, it is a build container on the
    image of its parent. With COMMAND, run only this; its exit status is passed on.

    Example: tierwright shell httpd-php -- cat /etc/os-release
    """
    say = partial(click.echo, err=True)
    if inventory:
        chain = learn_chain(PLAYBOOK, inventory, say)
    known, engine = find_tier(tier, chain), connect()
    with opened(engine, known, say, released=released) as container:
        status = engine.attached.run(container, list(command or _SHELL), user)
    ctx.exit(status)
