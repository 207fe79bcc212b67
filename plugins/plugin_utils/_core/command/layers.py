# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright layers``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..layer_index.index import Store
from ..text import age, day, one_line, size
from ..transports.image import LayerInfo, PackageChange, open_stack
from ..views.layer_contents import LayerContent, LayerListing, look
from .output import Table, json_option, show

_HEADS = ("LAYER>", "TIER", "TEAM", "MADE BY", "AGE>", "SOURCE", "SIZE>", "FILES", "PACKAGES")


@click.command()
@click.argument("image")
@click.option("-p", "--packages", is_flag=True, help="Name the packages.")
@json_option
def verb(image: str, *, packages: bool, as_json: bool) -> None:
    """Show each layer of IMAGE: whose it is, and what it does.

    Files and packages are those added (+), changed (~) and removed (-). The lowest layer comes first.
    """
    found = look(open_stack(image, Store()))
    show(found, lambda: _drawn(found, packages=packages), as_json=as_json)


def _drawn(found: LayerListing, *, packages: bool) -> Iterator[str | Table]:
    yield Table(_HEADS, [_row(each) for each in found.layers])
    for each in found.layers:
        if packages and each.packages:
            yield ""
            yield f"{each.layer.called}:"
            yield from (f"  {package(change)}" for change in each.packages)
    yield from (sentence for each in found.layers for sentence in each.unread)
    for each in found.layers:
        if each.left_out:
            yield ""
            yield f"{each.layer.called}:"
            yield from (f"  {line}" for line in each.left_out)


def package(change: PackageChange) -> str:
    """A package's change in one line: ``+ curl 7.88.1``, ``~ curl 7.88.1 -> 7.88.2``."""
    if change.before is None:
        return f"+ {change.name} {change.after}"
    if change.after is None:
        return f"- {change.name} {change.before}"
    return f"~ {change.name} {change.before} -> {change.after}"


def made_by(layer: LayerInfo) -> str:
    """What made a layer, in one line."""
    return one_line(layer.made_by, 48)


def _row(each: LayerContent) -> tuple[str, ...]:
    layer = each.layer
    return (
        str(layer.number),
        layer.tier or "-",
        layer.team or "-",
        made_by(layer),
        age(layer.built),
        day(layer.created),
        size(each.size),
        _counts(each.files.added, each.files.changed, each.files.removed),
        _counts(
            sum(change.before is None for change in each.packages),
            sum(change.before is not None and change.after is not None for change in each.packages),
            sum(change.after is None for change in each.packages),
        ),
    )


def _counts(added: int, changed: int, removed: int) -> str:
    told = [f"{sign}{count}" for sign, count in (("+", added), ("~", changed), ("-", removed)) if count]
    return " ".join(told) or "-"
