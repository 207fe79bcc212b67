# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright outdated``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from ..errors import UsageError, describe_error
from ..layer_index.index import Store
from ..local_files import write_shared
from ..packages.apt_sources import CHECKED
from ..packages.outdated_packages import Outdated, Rebuild, Update, open_all, outdated
from ..packages.outdated_sarif import outdated_sarif
from ..text import one_line
from .output import Table, json_option, show
from .progress_line import say

_HEADS = ("PACKAGE", "INSTALLED", "NEWER", "SECURITY", "TIER", "TEAM", "IMAGES>")
_REBUILD_HEADS = ("REBUILD", "TEAM", "UPDATES>", "SECURITY>", "UPDATED TIERS")
_MANY = 3
#: The file that services show the results at: the one that says how the tiers are based on each other.
_SHOWN_AT = "inventory/chain.yml"


@click.command()
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option("--fail", is_flag=True, help="Exit with 1 if a package is outdated, or could not be compared.")
@click.option(
    "--sarif", type=click.Path(path_type=Path), metavar="FILE", help="Also write the answer to FILE as SARIF."
)
@json_option
@click.pass_context
def verb(ctx: click.Context, images: tuple[str, ...], *, fail: bool, sarif: Path | None, as_json: bool) -> None:
    """Show packages for which the archive has a newer version, who owns them, and which tiers to rebuild.

    Without IMAGE, all released tiers in the engine are compared. Each image's apt configuration names its archives.
    """
    store = Store()
    answer = outdated(open_all(images, store, say), store, say)
    if sarif is not None:
        try:
            write_shared(sarif, json.dumps(outdated_sarif(answer, _SHOWN_AT), indent=2) + "\n")
        except OSError as error:
            raise UsageError(f"{sarif} cannot be written: {describe_error(error)}") from error
    show(answer, lambda: _render(answer), as_json=as_json)
    if fail and (answer.updates or answer.unread):
        ctx.exit(1)


def _render(answer: Outdated) -> Iterator[str | Table]:
    if answer.updates:
        yield Table(_HEADS, [_row(update) for update in answer.updates])
        yield ""
        yield Table(_REBUILD_HEADS, [_rebuild_row(rebuild) for rebuild in answer.rebuild])
        yield ""
    elif answer.archives:
        what = "none of the compared packages" if answer.unread else "no package"
        yield f"{what} is outdated in {', '.join(answer.images)}"
    yield from (
        f"{archive.name}: signature {archive.signature}" for archive in answer.archives if archive.signature != CHECKED
    )
    yield from answer.unread


def _row(update: Update) -> tuple[str, ...]:
    owner = update.owner
    return (
        f"{update.name}:{update.architecture}",
        update.installed,
        update.candidate,
        "security" if update.security else "-",
        one_line(owner.called),
        owner.team or "-",
        str(len(update.images)),
    )


def _rebuild_row(rebuild: Rebuild) -> tuple[str, ...]:
    names = [one_line(name) for name in rebuild.renews]
    updated = ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")
    owner = rebuild.owner
    return one_line(owner.called), owner.team or "-", str(rebuild.updates), str(rebuild.security), updated
