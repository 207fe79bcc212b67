# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tierwright tree, and the drawing of the tree.

The family tree as lines, for Graphviz, and as a picture.

``tierwright tree``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import click

from ..errors import UsageError
from ..layer_index.index import Store
from ..report.pictures import Box, draw_tree
from ..text import age, day, printable, size
from ..transports.transport import open_place, split
from ..views.family_tree import Relative, Tree, grow
from .output import Table, json_option, show


def guides(tree: Tree) -> Iterator[str]:
    """What stands before each name, so that lines lead from parents to children."""
    last = {each.parent: each.number for each in tree.images}
    before: dict[int, str] = {}
    for each in tree.images:
        if each.parent is None:
            before[each.number] = ""
            yield ""
            continue
        is_last = last[each.parent] == each.number
        yield before[each.parent] + ("└─ " if is_last else "├─ ")
        before[each.number] = before[each.parent] + ("   " if is_last else "│  ")


def dot(tree: Tree) -> str:
    """Write the language of Graphviz, left to right."""
    lines = ["digraph tierwright {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    for each in tree.images:
        whose = [f"tier {each.tier}, team {each.team}"] if each.tier else []
        label = "\n".join(printable(line) for line in (each.called, *whose, f"+{size(each.own)}"))
        lines.append(f"  n{each.number} [label={json.dumps(label, ensure_ascii=False)}];")
        if each.parent is not None:
            lines.append(f"  n{each.parent} -> n{each.number};")
    return "\n".join([*lines, "}", ""])


def svg(tree: Tree) -> str:
    """Draw boxes with tier, team and size, left to right."""
    return draw_tree([_box(each) for each in tree.images], "Images and what they stand on")


def _box(each: Relative) -> Box:
    whose = [each.tier, f"team {each.team}"] if each.tier else []
    return Box(each.called, each.parent, more=", ".join([*whose, f"+{size(each.own)}"]), group=each.team)


#: What ``--dot`` and ``--svg`` write.
FORMS: dict[str, Callable[[Tree], str]] = {"dot": dot, "svg": svg}


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
        click.echo(FORMS[form](tree), nl=False)
    else:
        show(tree, lambda: _drawn(tree), as_json=as_json)


def _drawn(tree: Tree) -> Iterator[str | Table]:
    if tree.images:
        yield Table(_HEADS, [_row(each, guide) for each, guide in zip(tree.images, guides(tree), strict=True)])
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
