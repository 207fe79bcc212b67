# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The family tree as lines, for Graphviz, and as a picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from ..foreign import printable
from ..inspect.picture import Box, draw
from ..inspect.tree import Relative, Tree
from ..inspect.words import size


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
    return draw([_box(each) for each in tree.images], "Images and what they stand on")


def _box(each: Relative) -> Box:
    whose = [each.tier, f"team {each.team}"] if each.tier else []
    return Box(each.called, each.parent, more=", ".join([*whose, f"+{size(each.own)}"]), group=each.team)


#: What ``--dot`` and ``--svg`` write.
FORMS: dict[str, Callable[[Tree], str]] = {"dot": dot, "svg": svg}
