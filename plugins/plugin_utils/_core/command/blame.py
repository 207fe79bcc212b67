# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright blame``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..layer_index.index import Store
from ..text import one_line
from ..transports.image import open_stack
from ..views.ownership import Blame, Event
from ..views.ownership import blame as tell
from .layers import made_by
from .output import Table, json_option, show

_HEADS = ("WHEN", "TIER", "TEAM", "MADE BY", "WHAT")


@click.command()
@click.argument("image")
@click.argument("subject", metavar="PATH-or-PACKAGE")
@json_option
def verb(image: str, subject: str, *, as_json: bool) -> None:
    """Show which tier and team put a file or a package into IMAGE, and who changed or removed it.

    What has a slash in it is a path.
    """
    found = tell(open_stack(image, Store()), subject)
    show(found, lambda: _drawn(found), as_json=as_json)


def _drawn(found: Blame) -> Iterator[str | Table]:
    owner = found.owner
    whose = f"{owner.tier}, team {owner.team}" if owner.tier else one_line(owner.called)
    yield f"{found.subject}: {'' if found.present else 'removed by '}{whose}"
    yield ""
    yield Table(_HEADS, [_row(each) for each in found.story])
    tasks = [f"{one_line(each.layer.called)} {each.event} it by {each.task}" for each in found.story if each.task]
    yield from ("", *tasks) if tasks else ()


def _row(event: Event) -> tuple[str, ...]:
    layer = event.layer
    return (layer.built or layer.created or "-", layer.tier or "-", layer.team or "-", made_by(layer), _what(event))


def _what(event: Event) -> str:
    if event.package:
        versions = [version for version in (event.package.before, event.package.after) if version]
        return f"{event.event} {' -> '.join(versions)}"
    if event.after and not event.before:
        return f"{event.event} {event.after.kind} {event.after.mode} {event.after.uid}:{event.after.gid}"
    return f"{event.event} {', '.join(event.what)}".rstrip()
