# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SVG pictures of the tree and of the matrix.

A family as a picture: SVG, from left to right.

It needs nothing from elsewhere, follows the reader's choice of light or dark, and says the same without colours: each
box has its words in a title. Whoever reads with a screen reader or a keyboard meets a list of boxes, or of links.

A compatibility matrix as a picture: SVG, a row for each tier and a column for each variant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from xml.etree import ElementTree as ET

from ..compatibility.variant_matrix import Cell, CellState, Matrix
from ..text import one_line, printable

#: A box is as wide as its words need, within these bounds.
_NARROWEST, _WIDEST, _HEIGHT = 130, 260, 58
#: From box to box: to the right between them, and down.
_GAP, _ROW = 48, 74
_MARGIN = 12
#: Pixels of a character of a name, and of a second line or a state, and what is beside them; rather too many.
_CHARACTER, _SMALL_CHARACTER, _BESIDE = 7.4, 6.2, 34
#: Characters of its name, of its name beside a state, and of its second line.
_LONGEST, _LONGEST_STATED, _LONGEST_MORE = 32, 24, 38

#: Colours of groups that everybody can tell apart (Okabe and Ito, https://jfly.uni-koeln.de/color/).
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999")

#: What a page that holds a picture has to allow.
STYLE = """
.tw-picture { --tw-ink: #1f2328; --tw-quiet: #59636e; --tw-box: #ffffff; --tw-line: #8c959f;
  --tw-failed: #b3261e; --tw-stale: #8a5a00; font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .tw-picture { --tw-ink: #f0f3f6; --tw-quiet: #b1bac4; --tw-box: #22272e;
  --tw-line: #768390; --tw-failed: #ff8a80; --tw-stale: #f0b849; } }
.tw-picture text { fill: var(--tw-ink); }
.tw-picture .tw-more { fill: var(--tw-quiet); font-size: 11px; }
.tw-picture .tw-state { fill: var(--tw-quiet); font-size: 11px; font-weight: 600; }
.tw-picture .tw-box { fill: var(--tw-box); stroke: var(--tw-line); }
.tw-picture .tw-edge { fill: none; stroke: var(--tw-line); stroke-width: 1.5; }
.tw-picture .tw-here .tw-box { stroke: var(--tw-ink); stroke-width: 2.5; }
.tw-picture .tw-here text:not([class]) { font-weight: 700; }
.tw-picture .tw-failed .tw-box { stroke: var(--tw-failed); stroke-width: 2.5; }
.tw-picture .tw-failed .tw-state { fill: var(--tw-failed); }
.tw-picture .tw-not-reached .tw-box { stroke: var(--tw-failed); stroke-width: 2; stroke-dasharray: 2 3; }
.tw-picture .tw-not-reached .tw-state { fill: var(--tw-failed); }
.tw-picture .tw-stale .tw-box { stroke: var(--tw-stale); stroke-width: 2; stroke-dasharray: 6 3; }
.tw-picture .tw-stale .tw-state { fill: var(--tw-stale); }
.tw-picture a:focus-visible { outline: none; }
.tw-picture a:focus-visible .tw-box, .tw-picture a:hover .tw-box { stroke: var(--tw-ink); stroke-width: 3; }
"""


@dataclass(frozen=True, slots=True)
class Box:
    """One thing in the picture."""

    #: Its name; a long one is cut, but in the title.
    name: str
    #: Position in the list of what it stands on; ``None`` for nothing. What stands on something comes after it.
    parent: int | None
    #: A second line of words.
    more: str = ""
    #: What it has its colour from, for example the team; ``None`` for no colour.
    group: str | None = None
    #: ``failed``, ``not reached`` and ``stale`` are marked; empty for nothing to say.
    state: str = ""
    #: Where a click leads; empty for nowhere.
    link: str = ""
    #: Whether the page is about it.
    here: bool = False


def colours(groups: Iterable[str | None]) -> dict[str, str]:
    """Give each group a colour; there are eight."""
    return dict(zip(sorted({group for group in groups if group is not None}), cycle(_COLOURS), strict=False))


def draw_tree(
    boxes: Sequence[Box], title: str, description: str = "", colouring: Mapping[str, str] | None = None
) -> str:
    """Draw a picture.

    Args:
        boxes: What is in it. Those without a parent stand on the left, the first one on top.
        title: What it is a picture of.
        description: A sentence for those who do not see it; empty for how many boxes there are.
        colouring: Colours of groups, where other pictures have the same; ``None`` gives them here.

    Returns:
        An ``svg`` element, which is a file of its own as well.
    """
    box_width = max(map(_width, boxes), default=_NARROWEST)
    places = _places(boxes, box_width + _GAP)
    width = max((x for x, _ in places), default=0) + box_width + _MARGIN
    height = max((y for _, y in places), default=0) + _HEIGHT + _MARGIN
    picture = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "tw-picture",
            "role": "group",
            "width": f"{width:g}",
            "height": f"{height:g}",
            "viewBox": f"0 0 {width:g} {height:g}",
        },
    )
    _text(picture, "title", title)
    _text(picture, "desc", description or f"{len(boxes)} boxes; each stands on the one to its left that leads to it.")
    _text(picture, "style", STYLE)
    edges = ET.SubElement(picture, "g", {"aria-hidden": "true"})
    for box, place in zip(boxes, places, strict=True):
        if box.parent is not None:
            ET.SubElement(edges, "path", {"class": "tw-edge", "d": _curve(places[box.parent], place, box_width)})
    given = colours(box.group for box in boxes) if colouring is None else colouring
    shown = ET.SubElement(picture, "g", {"role": "list"})
    for box, place in zip(boxes, places, strict=True):
        on = boxes[box.parent].name if box.parent is not None else None
        _draw_box(shown, box, place, box_width, on, given.get(box.group) if box.group is not None else None)
    return ET.tostring(picture, encoding="unicode") + "\n"


def _width(box: Box) -> int:
    """Pixels that a box's words need."""
    name = len(one_line(box.name, _LONGEST_STATED if box.state else _LONGEST)) * _CHARACTER
    state = (len(box.state) + 2) * _SMALL_CHARACTER if box.state else 0
    more = len(one_line(box.more, _LONGEST_MORE)) * _SMALL_CHARACTER if box.more else 0
    return round(min(max(max(name + state, more) + _BESIDE, _NARROWEST), _WIDEST))


def _places(boxes: Sequence[Box], step: int) -> list[tuple[float, float]]:
    """Upper left corners of the boxes, ``step`` from parents to children.

    What has no children gets a row of its own, in order; any other box is in the middle of its children.
    """
    children: list[list[int]] = [[] for _ in boxes]
    depths: list[int] = []
    for number, box in enumerate(boxes):
        depths.append(0 if box.parent is None else depths[box.parent] + 1)
        if box.parent is not None:
            children[box.parent].append(number)
    rows = dict.fromkeys(range(len(boxes)), 0.0)
    waiting = [number for number, box in reversed(list(enumerate(boxes))) if box.parent is None]
    leaves = 0
    while waiting:
        number = waiting.pop()
        waiting.extend(reversed(children[number]))
        if not children[number]:
            rows[number], leaves = leaves, leaves + 1
    for number in reversed(range(len(boxes))):  # children come after their parent
        if own := children[number]:
            rows[number] = (rows[own[0]] + rows[own[-1]]) / 2
    return [(_MARGIN + depths[number] * step, _MARGIN + rows[number] * _ROW) for number in range(len(boxes))]


def _draw_box(
    into: ET.Element, box: Box, place: tuple[float, float], width: int, on: str | None, colour: str | None
) -> None:
    x, y = place
    told = ", ".join(filter(None, (box.name, box.more, box.state, f"on {on}" if on else "")))
    item = ET.SubElement(into, "g", {"role": "listitem", "transform": f"translate({x:g} {y:g})"})
    kinds = [f"tw-{box.state.replace(' ', '-')}"] * bool(box.state) + ["tw-here"] * box.here
    if kinds:
        item.set("class", " ".join(kinds))
    inner = ET.SubElement(item, "a", {"href": box.link, "aria-label": printable(told)}) if box.link else item
    _text(inner, "title", told)
    ET.SubElement(inner, "rect", {"class": "tw-box", "width": f"{width}", "height": f"{_HEIGHT}", "rx": "6"})
    if colour:
        ET.SubElement(inner, "rect", {"width": "7", "height": f"{_HEIGHT}", "rx": "3", "fill": colour})
    _text(inner, "text", one_line(box.name, _LONGEST_STATED if box.state else _LONGEST), {"x": "18", "y": "24"})
    if box.more:
        _text(inner, "text", one_line(box.more, _LONGEST_MORE), {"class": "tw-more", "x": "18", "y": "44"})
    if box.state:
        _text(inner, "text", box.state, {"class": "tw-state", "x": f"{width - 10}", "y": "24", "text-anchor": "end"})


def _curve(start: tuple[float, float], end: tuple[float, float], width: int) -> str:
    x, y = start[0] + width, start[1] + _HEIGHT / 2
    u, v = end[0], end[1] + _HEIGHT / 2
    middle = (x + u) / 2
    return f"M{x:g} {y:g}C{middle:g} {y:g} {middle:g} {v:g} {u:g} {v:g}"


def _text(into: ET.Element, tag: str, words: str, attributes: dict[str, str] | None = None) -> None:
    element = ET.SubElement(into, tag, attributes or {})
    element.text = words if tag == "style" else printable(words)


_HEAD, _MATRIX_ROW, _FIRST, _COLUMN, _MATRIX_GAP = 44, 40, 190, 150, 4
_LONGEST_TIER, _LONGEST_TITLE = 24, 20

#: What a cell says, the same with and without colours.
_WORDS = {CellState.PASSED: "✓ passed", CellState.FAILED: "✕ failed", CellState.NOT_REACHED: "not reached"}


def draw_matrix(matrix: Matrix) -> str:
    """Draw a matrix, as an ``svg`` element for a page that styles it."""
    width, height = _FIRST + _COLUMN * len(matrix.variants), _HEAD + _MATRIX_ROW * len(matrix.tiers) + _MATRIX_GAP
    picture = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "grid",
            "role": "img",
            "width": f"{width}",
            "height": f"{height}",
            "viewBox": f"0 0 {width} {height}",
        },
    )
    _matrix_text(picture, "title", _told(matrix))
    for column, variant in enumerate(matrix.variants):
        place = {"x": f"{_FIRST + _COLUMN * (column + 0.5):g}", "y": "28", "text-anchor": "middle"}
        _matrix_text(picture, "text", one_line(variant.title, _LONGEST_TITLE), place)
    for row, tier in enumerate(matrix.tiers):
        middle = _HEAD + _MATRIX_ROW * row + 24
        _matrix_text(picture, "text", one_line(tier, _LONGEST_TIER), {"x": "14", "y": f"{middle}"})
        for column, variant in enumerate(matrix.variants):
            if (cell := variant.cell(tier)) is not None:
                _draw_cell(picture, cell, _FIRST + _COLUMN * column, _HEAD + _MATRIX_ROW * row)
    return ET.tostring(picture, encoding="unicode")


def _told(matrix: Matrix) -> str:
    """Everything that the picture says, for those who do not see it."""
    cells = [(variant, cell) for variant in matrix.variants for cell in variant.tiers]
    bad = [
        f"{cell.tier} {cell.state} on {variant.title}" for variant, cell in cells if cell.state is not CellState.PASSED
    ]
    return f"{len(matrix.tiers)} tiers on {len(matrix.variants)} variants: " + (", ".join(bad) or "all passed")


def _draw_cell(into: ET.Element, cell: Cell, x: int, y: int) -> None:
    group = ET.SubElement(into, "g", {"class": cell.state.replace(" ", "-"), "transform": f"translate({x} {y})"})
    size = {"width": f"{_COLUMN - _MATRIX_GAP}", "height": f"{_MATRIX_ROW - _MATRIX_GAP}", "rx": "5"}
    ET.SubElement(group, "rect", size)
    _matrix_text(
        group, "text", _WORDS[cell.state], {"x": f"{(_COLUMN - _MATRIX_GAP) / 2:g}", "y": "23", "text-anchor": "middle"}
    )


def _matrix_text(into: ET.Element, tag: str, words: str, attributes: dict[str, str] | None = None) -> None:
    ET.SubElement(into, tag, attributes or {}).text = printable(words)
