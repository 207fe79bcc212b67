# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright layers``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..layer_index.index import Store
from ..text import age, day, one_line, size
from ..transports.image import LayerInfo, open_stack
from ..views.change_lines import format_package
from ..views.layer_contents import LayerContent, LayerListing, list_layers
from .output import Table, json_option, show

_HEADS = ("LAYER>", "TIER", "TEAM", "MADE BY", "AGE>", "SOURCE", "SIZE>", "FILES", "PACKAGES")


@click.command()
@click.argument("image")
@click.option("-p", "--packages", is_flag=True, help="List the packages.")
@json_option
def verb(image: str, *, packages: bool, as_json: bool) -> None:
    """Show each layer of IMAGE: who owns it, and what it changes.

    FILES and PACKAGES count what the layer adds (+), changes (~) and removes (-). The lowest layer comes first.
    """
    answer = list_layers(open_stack(image, Store()))
    show(answer, lambda: _render(answer, packages=packages), as_json=as_json)


def _render(answer: LayerListing, *, packages: bool) -> Iterator[str | Table]:
    yield Table(_HEADS, [_row(content) for content in answer.layers])
    for content in answer.layers:
        if packages and content.packages:
            yield ""
            yield f"{content.layer.called}:"
            yield from (f"  {format_package(change)}" for change in content.packages)
    yield from (sentence for content in answer.layers for sentence in content.unread)
    for content in answer.layers:
        if content.left_out:
            yield ""
            yield f"{content.layer.called}:"
            yield from (f"  {line}" for line in content.left_out)


def made_by(layer: LayerInfo) -> str:
    """Return what made a layer, shortened to one line."""
    return one_line(layer.made_by, 48)


def _row(content: LayerContent) -> tuple[str, ...]:
    layer = content.layer
    return (
        str(layer.number),
        layer.tier or "-",
        layer.team or "-",
        made_by(layer),
        age(layer.built),
        day(layer.created),
        size(content.size),
        _format_counts(content.files.added, content.files.changed, content.files.removed),
        _format_counts(
            sum(change.before is None for change in content.packages),
            sum(change.before is not None and change.after is not None for change in content.packages),
            sum(change.after is None for change in content.packages),
        ),
    )


def _format_counts(added: int, changed: int, removed: int) -> str:
    counts = [f"{sign}{count}" for sign, count in (("+", added), ("~", changed), ("-", removed)) if count]
    return " ".join(counts) or "-"
