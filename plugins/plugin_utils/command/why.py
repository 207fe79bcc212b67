# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright why``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..inspect.releases import Why
from ..inspect.releases import why as tell
from ..inspect.store import Store
from ..inspect.words import short
from .output import Table, json_option, show


@click.command()
@click.argument("tier")
@json_option
def verb(tier: str, *, as_json: bool) -> None:
    """Show why TIER's current image was built: what differs from the release before.

    What a build would do now, and why, says `ansible-playbook build-chain.yml --check`.
    """
    found = tell(tier, Store())
    show(found, lambda: _drawn(found), as_json=as_json)


def _drawn(found: Why) -> Iterator[str | Table]:
    now, before = found.release, found.before
    yield f"{found.tier}, team {found.team or '-'}: {short(now.image)} of {now.when or 'an unknown time'}"
    if before is None:
        yield "there is no release before it here to compare it with"
    elif found.reasons is None:
        yield f"{short(before.image)} was before it; one of the two does not say what it was built from"
    else:
        yield f"since {short(before.image)} of {before.when or 'an unknown time'}:"
        yield from (f"  {reason}" for reason in found.reasons)
