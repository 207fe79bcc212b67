# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright tree``, which prints the tree as text, for Graphviz, or as an SVG picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import click

from ..errors import UsageError
from ..layer_index.index import Store
from ..report.pictures import Box, draw_tree
from ..text import age, day, one_line, printable, short, size
from ..transports.transport import open_place, split
from ..views.family_tree import Relative, Tree, build_tree, read_followed
from .output import Table, json_option, show


def branch_lines(tree: Tree) -> Iterator[str]:
    """Yield for each image the text before its name: lines that connect parents with their children."""
    last_child = {image.parent: image.number for image in tree.images}
    indents: dict[int, str] = {}
    for image in tree.images:
        if image.parent is None:
            indents[image.number] = ""
            yield ""
            continue
        is_last = last_child[image.parent] == image.number
        yield indents[image.parent] + ("└─ " if is_last else "├─ ")
        indents[image.number] = indents[image.parent] + ("   " if is_last else "│  ")


def dot(tree: Tree) -> str:
    """Return the tree as a Graphviz graph, from left to right."""
    lines = ["digraph tierwright {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    for image in tree.images:
        owner = [f"tier {image.tier}, team {image.team}"] if image.tier else []
        label = "\n".join(printable(line) for line in (image.called, *owner, f"+{size(image.own)}"))
        lines.append(f"  n{image.number} [label={json.dumps(label, ensure_ascii=False)}];")
        if image.parent is not None:
            lines.append(f"  n{image.parent} -> n{image.number};")
    return "\n".join([*lines, "}", ""])


def svg(tree: Tree) -> str:
    """Draw the tree as SVG, from left to right: boxes with name, tier, team and size."""
    return draw_tree([_box(image) for image in tree.images], "Images and their parents")


def _box(image: Relative) -> Box:
    owner = [image.tier, f"team {image.team}"] if image.tier else []
    return Box(image.called, image.parent, more=", ".join([*owner, f"+{size(image.own)}"]), group=image.team)


#: Value of ``--dot`` and ``--svg`` to the function that writes this format.
FORMATS: dict[str, Callable[[Tree], str]] = {"dot": dot, "svg": svg}


_HEADS = ("IMAGE", "TIER", "TEAM", "LAYERS>", "OWN>", "SIZE>", "AGE>", "SOURCE")


@click.command()
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option("--up", is_flag=True, help="Show only IMAGE and its ancestors.")
@click.option("--down", is_flag=True, help="Show only IMAGE and its descendants.")
@click.option("-a", "--all", "nameless", is_flag=True, help="Show images without a name too.")
@click.option("--in", "place", default="", metavar="PLACE", help="oci:FOLDER, archive:FILE or docker://HOST/NAME.")
@click.option("--dot", "form", flag_value="dot", help="Print a Graphviz graph.")
@click.option("--svg", "form", flag_value="svg", help="Print an SVG picture.")
@json_option
def verb(
    images: tuple[str, ...], *, up: bool, down: bool, nameless: bool, place: str, form: str | None, as_json: bool
) -> None:
    """Show which image is based on which, by their layers.

    With IMAGE, show only this image, its ancestors and its descendants.
    """
    if (up or down) and not images:
        raise UsageError("--up and --down start at an image; name one")
    if form and as_json:
        raise UsageError(f"--{form} and --json exclude each other; use only one of them")
    kind, location, repository = split(place)
    held = open_place(kind, location, Store()).list_images(repository)
    both = up == down
    tree = build_tree(held, images, up=up or both, down=down or both, nameless=nameless, followed=read_followed())
    if form:
        click.echo(FORMATS[form](tree), nl=False)
    else:
        show(tree, lambda: _render(tree), as_json=as_json)


def _render(tree: Tree) -> Iterator[str | Table]:
    if tree.images:
        yield Table(_HEADS, [_row(image, line) for image, line in zip(tree.images, branch_lines(tree), strict=True)])
    else:
        yield "no images"
    for image in tree.images:
        if (follows := image.follows) is not None:
            based_on = ", ".join(f"{each.tier} (team {each.team or '-'})" for each in follows.ancestors)
            origin = f"{one_line(image.tier)} follows {follows.reference}, locked {short(follows.digest)}"
            yield origin + (f"; based on {based_on}" if based_on else "")
    if tree.hidden:
        count = "1 image has" if tree.hidden == 1 else f"{tree.hidden} images have"
        yield f"{count} no name; --all shows images without a name"


def _row(image: Relative, branch_line: str) -> tuple[str, ...]:
    layers = f"+{image.own_layers}" if image.parent is not None else str(image.layers)
    return (
        branch_line + image.called,
        image.tier or "-",
        image.team or "-",
        layers,
        size(image.own),
        size(image.size),
        age(image.built),
        day(image.created),
    )
