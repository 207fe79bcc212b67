# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright waste``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..layer_index.index import Store
from ..text import one_line, size
from ..transports.image import LayerInfo, open_stack
from ..views.wasted_space import Duplicate, Hidden, Waste, find_waste
from .output import Table, json_option, show

_MANY = 3


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-n", "--limit", default=10, show_default=True, help="Number of lines of each table.")
@json_option
def verb(images: tuple[str, ...], *, limit: int, as_json: bool) -> None:
    """Show wasted space in IMAGE.

    These are files that upper layers change or remove, and content that is stored more than once. With several images,
    for example siblings, the command also shows content that is stored in more than one of them.
    """
    store = Store()
    answer = find_waste([open_stack(image, store) for image in images])
    show(answer, lambda: _render(answer, limit), as_json=as_json)


def _render(answer: Waste, limit: int) -> Iterator[str | Table]:
    yield f"upper layers hide {size(answer.hidden_size)} of {size(answer.size)}"
    if answer.hidden:
        rows = [_hidden_row(hidden) for hidden in answer.hidden[:limit]]
        yield Table(("SIZE>", "IN", "HIDDEN BY", "HOW", "PATH"), rows)
    yield ""
    yield f"duplicates take {size(answer.duplicate_size)}"
    if answer.duplicates:
        rows = [_duplicate_row(duplicate) for duplicate in answer.duplicates[:limit]]
        yield Table(("WASTED>", "COPIES>", "WHERE"), rows)


def _hidden_row(hidden: Hidden) -> tuple[str, ...]:
    return (size(hidden.size), _layer_name(hidden.layer), _layer_name(hidden.by), hidden.how, f"/{hidden.path}")


def _duplicate_row(duplicate: Duplicate) -> tuple[str, ...]:
    where = ", ".join(f"{_layer_name(copy.layer)}:/{copy.path}" for copy in duplicate.copies[:_MANY])
    more = len(duplicate.copies) - _MANY
    return (size(duplicate.wasted), str(len(duplicate.copies)), where + (f" and {more} more" if more > 0 else ""))


def _layer_name(layer: LayerInfo) -> str:
    return one_line(layer.called, 32)
