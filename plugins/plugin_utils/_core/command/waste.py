# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright waste``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..layer_index.index import Store
from ..text import one_line, size
from ..transports.image import LayerInfo, open_stack
from ..views.wasted_space import Duplicate, Hidden, Waste, find
from .output import Table, json_option, show

_MANY = 3


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-n", "--limit", default=10, show_default=True, help="Lines of each table.")
@json_option
def verb(images: tuple[str, ...], *, limit: int, as_json: bool) -> None:
    """Show bytes that IMAGE carries for nothing.

    Files that upper layers change or remove, and content that is there more than once. With several images, such as
    siblings, also what they have twice although they could share it.
    """
    store = Store()
    found = find([open_stack(image, store) for image in images])
    show(found, lambda: _drawn(found, limit), as_json=as_json)


def _drawn(found: Waste, limit: int) -> Iterator[str | Table]:
    yield f"{size(found.hidden_size)} of {size(found.size)} are hidden by upper layers"
    if found.hidden:
        yield Table(("SIZE>", "IN", "HIDDEN BY", "HOW", "PATH"), [_hidden(each) for each in found.hidden[:limit]])
    yield ""
    yield f"{size(found.duplicate_size)} are there more than once"
    if found.duplicates:
        yield Table(("WASTED>", "COPIES>", "WHERE"), [_duplicate(each) for each in found.duplicates[:limit]])


def _hidden(each: Hidden) -> tuple[str, ...]:
    return (size(each.size), _layer(each.layer), _layer(each.by), each.how, f"/{each.path}")


def _duplicate(each: Duplicate) -> tuple[str, ...]:
    where = ", ".join(f"{_layer(copy.layer)}:/{copy.path}" for copy in each.copies[:_MANY])
    more = len(each.copies) - _MANY
    return (size(each.wasted), str(len(each.copies)), where + (f" and {more} more" if more > 0 else ""))


def _layer(layer: LayerInfo) -> str:
    return one_line(layer.called, 32)
