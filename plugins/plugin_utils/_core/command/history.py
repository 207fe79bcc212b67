# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright history``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..layer_index.index import Store
from ..text import short
from ..views.release_history import History, Release
from ..views.release_history import history as tell
from .output import Table, json_option, show

_HEADS = ("WHEN", "RELEASE", "TEAM", "IMAGE", "NOW", "WHY")
_MANY = 3


@click.command()
@click.argument("tier")
@json_option
def verb(tier: str, *, as_json: bool) -> None:
    """Show the releases of TIER, the oldest first: when, whose, and what changed.

    TIER is a tier's name or the repository of its images; docker://HOST/NAME looks in a registry.
    """
    found = tell(tier, Store())
    show(found, lambda: _drawn(found), as_json=as_json)


def _drawn(found: History) -> Iterator[str | Table]:
    yield Table(_HEADS, [_row(each) for each in found.releases])


def _row(each: Release) -> tuple[str, ...]:
    now = "*" if each.current else ""
    return (each.when or "-", each.tag or "-", each.team or "-", short(each.image), now, _why(each.reasons))


def _why(reasons: list[str] | None) -> str:
    if reasons is None:
        return "not told"
    if not reasons:
        return "the first"
    more = len(reasons) - _MANY
    return "; ".join(reasons[:_MANY]) + (f"; and {more} more" if more > 0 else "")
