# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The family tree as lines, for Graphviz, and as a picture."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable, Iterator

from ..inspect.releases import is_lasting
from ..inspect.tree import Relative, Tree
from .output import Table, printable, short, size

_WIDEST = 1000

#: A picture of text. rich's own format loads fonts from the network.
_SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>Images and what they stand on</title>
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; white-space: pre }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
<rect width="{width}" height="{height}" fill="#ffffff"/>
<g clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def name(each: Relative) -> str:
    """What an image is called in the tree: its names, but for those that only say which build it is."""
    if each.id is None:
        return "(shared layers)"
    spoken = [name for name in each.names if not is_lasting(name)]
    return ", ".join(spoken or each.names[-1:]) or short(each.id)


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
        label = "\n".join(printable(line) for line in (name(each), *whose, f"+{size(each.own)}"))
        lines.append(f"  n{each.number} [label={json.dumps(label, ensure_ascii=False)}];")
        if each.parent is not None:
            lines.append(f"  n{each.parent} -> n{each.number};")
    return "\n".join([*lines, "}", ""])


def svg(tree: Tree) -> str:
    """Draw the tree with its tiers, teams and sizes, by rich."""
    console, text, theme = (importlib.import_module(f"rich.{name}") for name in ("console", "text", "terminal_theme"))
    rows = [
        (guide + name(each), each.tier or "-", each.team or "-", size(each.own), size(each.size))
        for each, guide in zip(tree.images, guides(tree), strict=True)
    ]
    lines = list(Table(("IMAGE", "TIER", "TEAM", "OWN>", "SIZE>"), rows).lines())
    width = min(_WIDEST, max(map(len, lines)) + 1)
    recorder = console.Console(record=True, width=width, file=io.StringIO())
    recorder.print(text.Text("\n".join(lines)), no_wrap=True, crop=True)
    picture: str = recorder.export_svg(
        title="", theme=theme.DEFAULT_TERMINAL_THEME, code_format=_SVG, unique_id="tierwright"
    )
    return picture


#: What ``--dot`` and ``--svg`` write.
FORMS: dict[str, Callable[[Tree], str]] = {"dot": dot, "svg": svg}
