# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright outdated``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..layer_index.index import Store
from ..packages.apt_sources import CHECKED
from ..packages.outdated_packages import Outdated, Rebuild, Update, open_all, outdated
from ..text import one_line, printable
from .output import Table, json_option, show

_HEADS = ("PACKAGE", "INSTALLED", "NEWER", "SECURITY", "TIER", "TEAM", "IMAGES>")
_REBUILD_HEADS = ("BUILD ANEW", "TEAM", "UPDATES>", "SECURITY>", "RENEWS")
_MANY = 3


@click.command()
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option("--fail", is_flag=True, help="Exit with 1 if a package is outdated, or could not be compared.")
@json_option
@click.pass_context
def verb(ctx: click.Context, images: tuple[str, ...], *, fail: bool, as_json: bool) -> None:
    """Show packages of which the archive has a newer version, whose they are, and what to build anew.

    Without IMAGE: of all tiers in the engine that are released. The archives that the images' apt is set to are asked.
    """
    store = Store()
    found = outdated(open_all(images, store, _say), store, _say)
    show(found, lambda: _drawn(found), as_json=as_json)
    if fail and (found.updates or found.unread):
        ctx.exit(1)


def _say(line: str) -> None:
    click.echo(printable(line), err=True)


def _drawn(found: Outdated) -> Iterator[str | Table]:
    if found.updates:
        yield Table(_HEADS, [_row(each) for each in found.updates])
        yield ""
        yield Table(_REBUILD_HEADS, [_rebuild_row(each) for each in found.rebuild])
        yield ""
    elif found.archives:
        what = "nothing that was compared" if found.unread else "nothing"
        yield f"{what} is outdated in {', '.join(found.images)}"
    yield from (f"{each.name}: signature {each.signature}" for each in found.archives if each.signature != CHECKED)
    yield from found.unread


def _row(each: Update) -> tuple[str, ...]:
    owner = each.owner
    return (
        f"{each.name}:{each.architecture}",
        each.installed,
        each.candidate,
        "security" if each.security else "-",
        one_line(owner.called),
        owner.team or "-",
        str(len(each.images)),
    )


def _rebuild_row(each: Rebuild) -> tuple[str, ...]:
    renews = [one_line(name) for name in each.renews]
    told = ", ".join(renews[:_MANY]) + (f" and {len(renews) - _MANY} more" if len(renews) > _MANY else "")
    return one_line(each.owner.called), each.owner.team or "-", str(each.updates), str(each.security), told
