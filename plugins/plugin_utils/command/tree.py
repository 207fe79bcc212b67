# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright tree``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..errors import UsageError
from ..inspect.place import open_place, split
from ..inspect.store import Store
from ..inspect.tree import Relative, Tree, grow
from ..inspect.words import age, day, size
from . import draw
from .output import Table, json_option, show

_HEADS = ("IMAGE", "TIER", "TEAM", "LAYERS>", "OWN>", "SIZE>", "AGE>", "SOURCE")


@click.command()
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option("--up", is_flag=True, help="Only what IMAGE stands on.")
@click.option("--down", is_flag=True, help="Only what stands on IMAGE.")
@click.option("-a", "--all", "nameless", is_flag=True, help="Images without a name, too.")
@click.option("--in", "place", default="", metavar="PLACE", help="oci:FOLDER, archive:FILE or docker://HOST/NAME.")
@click.option("--dot", "form", flag_value="dot", help="Write the language of Graphviz.")
@click.option("--svg", "form", flag_value="svg", help="Write a picture.")
@json_option
def verb(
    images: tuple[str, ...], *, up: bool, down: bool, nameless: bool, place: str, form: str | None, as_json: bool
) -> None:
    """Show which image stands on which, by their layers.

    With IMAGE, only its family: what it stands on, and what stands on it.
    """
    if (up or down) and not images:
        raise UsageError("--up and --down start at an image; name one")
    if form and as_json:
        raise UsageError(f"--{form} and --json exclude each other")
    kind, location, repository = split(place)
    held = open_place(kind, location, Store()).held(repository)
    both = up == down
    tree = grow(held, images, up=up or both, down=down or both, nameless=nameless)
    if form:
        click.echo(draw.FORMS[form](tree), nl=False)
    else:
        show(tree, lambda: _drawn(tree), as_json=as_json)


def _drawn(tree: Tree) -> Iterator[str | Table]:
    if tree.images:
        yield Table(_HEADS, [_row(each, guide) for each, guide in zip(tree.images, draw.guides(tree), strict=True)])
    else:
        yield "no images"
    if tree.hidden:
        yield f"{tree.hidden} without a name; --all shows them"


def _row(each: Relative, guide: str) -> tuple[str, ...]:
    layers = f"+{each.own_layers}" if each.parent is not None else str(each.layers)
    name = guide + each.called
    return (
        name,
        each.tier or "-",
        each.team or "-",
        layers,
        size(each.own),
        size(each.size),
        age(each.built),
        day(each.created),
    )
