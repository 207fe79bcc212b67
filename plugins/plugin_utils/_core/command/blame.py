# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright blame``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..layer_index.index import Store
from ..text import one_line
from ..transports.image import open_stack
from ..views.ownership import Blame, Event, blame
from .layers import made_by
from .output import Table, json_option, show

_HEADS = ("WHEN", "TIER", "TEAM", "MADE BY", "WHAT")


@click.command()
@click.argument("image")
@click.argument("subject", metavar="PATH-or-PACKAGE")
@json_option
def verb(image: str, subject: str, *, as_json: bool) -> None:
    """Show which tier and team added a file or package to IMAGE, and which ones changed or removed it.

    An argument with a slash is a path.
    """
    answer = blame(open_stack(image, Store()), subject)
    show(answer, lambda: _render(answer), as_json=as_json)


def _render(answer: Blame) -> Iterator[str | Table]:
    owner = answer.owner
    owner_name = f"{owner.tier}, team {owner.team}" if owner.tier else one_line(owner.called)
    yield f"{answer.subject}: {'' if answer.present else 'removed by '}{owner_name}"
    yield ""
    yield Table(_HEADS, [_row(event) for event in answer.story])
    tasks = [f"{one_line(event.layer.called)} {event.event} it by {event.task}" for event in answer.story if event.task]
    yield from ("", *tasks) if tasks else ()


def _row(event: Event) -> tuple[str, ...]:
    layer = event.layer
    return (
        layer.built or layer.created or "-",
        layer.tier or "-",
        layer.team or "-",
        made_by(layer),
        _describe_event(event),
    )


def _describe_event(event: Event) -> str:
    if event.package:
        versions = [version for version in (event.package.before, event.package.after) if version]
        return f"{event.event} {' -> '.join(versions)}"
    if event.after and not event.before:
        return f"{event.event} {event.after.kind} {event.after.mode} {event.after.uid}:{event.after.gid}"
    return f"{event.event} {', '.join(event.what)}".rstrip()
