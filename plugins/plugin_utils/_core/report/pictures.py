# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Draws SVG pictures of a tree of images, from left to right, and of a compatibility matrix.

A picture loads nothing from elsewhere, and follows the reader's choice of light or dark colours. It is complete without
colours: each box has a title with all its texts. Screen readers and the keyboard find a list of boxes or links.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from xml.etree import ElementTree as ET

import msgspec

from ..compatibility.variant_matrix import Cell, CellState, Matrix
from ..text import one_line, printable

#: Limits for the width of a box, which depends on its texts, and its height; in pixels.
_NARROWEST, _WIDEST, _HEIGHT = 130, 260, 58
#: Horizontal space between two boxes, and vertical distance from the top of a box to the top of the next one.
_GAP, _ROW = 48, 74
_MARGIN = 12
#: Width of a character of the name, of a character of the second line or state, and of the margins in a box; in pixels.
#: These are estimates, a little too large.
_CHARACTER, _SMALL_CHARACTER, _BESIDE = 7.4, 6.2, 34
#: Limits for the characters of the name, of the name if the box has a state, and of the second line.
_LONGEST, _LONGEST_STATED, _LONGEST_MORE = 32, 24, 38

#: Colours of groups. People with colour vision deficiency can distinguish them (Okabe and Ito,
#: https://jfly.uni-koeln.de/color/).
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999")

#: Style sheet of every tree picture. The content security policy of the page must allow it.
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


class Box(msgspec.Struct, frozen=True):
    """One box of the picture, for example a tier."""

    #: Its name. A long name is cut in the box, but not in the title.
    name: str
    #: Position of its parent in the list of boxes; ``None`` if it has no parent. Parents come before children.
    parent: int | None
    #: Text of the second line.
    more: str = ""
    #: Group that determines the colour, for example the team; ``None`` for no colour.
    group: str | None = None
    #: State of the tier; ``failed``, ``not reached`` and ``stale`` are highlighted. Empty for no state.
    state: str = ""
    #: Address of a link; empty for no link.
    link: str = ""
    #: Whether the page is about this box.
    here: bool = False


def colours(groups: Iterable[str | None]) -> dict[str, str]:
    """Assign a colour to each group. With more than eight groups, colours are used again."""
    return dict(zip(sorted({group for group in groups if group is not None}), cycle(_COLOURS), strict=False))


def draw_tree(
    boxes: Sequence[Box], title: str, description: str = "", colouring: Mapping[str, str] | None = None
) -> str:
    """Draw the picture of a tree.

    Args:
        boxes: The boxes. Those without a parent are on the left, the first of them on top.
        title: Title of the picture.
        description: A sentence for screen readers; by default, it contains the number of boxes.
        colouring: Colours of groups, if several pictures share them; ``None`` assigns the colours here.

    Returns:
        An ``svg`` element. It is also a valid SVG file.
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
    _text(picture, "desc", description or f"{len(boxes)} boxes; a line connects each box with its parent on the left.")
    _text(picture, "style", STYLE)
    edges = ET.SubElement(picture, "g", {"aria-hidden": "true"})
    for box, place in zip(boxes, places, strict=True):
        if box.parent is not None:
            ET.SubElement(edges, "path", {"class": "tw-edge", "d": _curve(places[box.parent], place, box_width)})
    group_colours = colours(box.group for box in boxes) if colouring is None else colouring
    box_list = ET.SubElement(picture, "g", {"role": "list"})
    for box, place in zip(boxes, places, strict=True):
        parent_name = boxes[box.parent].name if box.parent is not None else None
        colour = group_colours.get(box.group) if box.group is not None else None
        _draw_box(box_list, box, place, box_width, parent_name, colour)
    return ET.tostring(picture, encoding="unicode") + "\n"


def _width(box: Box) -> int:
    """Estimate the width that a box's texts need, in pixels."""
    name = len(one_line(box.name, _LONGEST_STATED if box.state else _LONGEST)) * _CHARACTER
    state = (len(box.state) + 2) * _SMALL_CHARACTER if box.state else 0
    more = len(one_line(box.more, _LONGEST_MORE)) * _SMALL_CHARACTER if box.more else 0
    return round(min(max(max(name + state, more) + _BESIDE, _NARROWEST), _WIDEST))


def _places(boxes: Sequence[Box], step: int) -> list[tuple[float, float]]:
    """Return the upper left corners of the boxes. ``step`` is the distance from a parent to its children.

    Each box without children gets its own row, in order. Any other box is placed in the middle of its children.
    """
    children: list[list[int]] = [[] for _ in boxes]
    depths: list[int] = []
    for number, box in enumerate(boxes):
        depths.append(0 if box.parent is None else depths[box.parent] + 1)
        if box.parent is not None:
            children[box.parent].append(number)
    rows = dict.fromkeys(range(len(boxes)), 0.0)
    todo = [number for number, box in reversed(list(enumerate(boxes))) if box.parent is None]
    leaves = 0
    while todo:
        number = todo.pop()
        todo.extend(reversed(children[number]))
        if not children[number]:
            rows[number], leaves = leaves, leaves + 1
    for number in reversed(range(len(boxes))):  # children come after their parent
        if own_children := children[number]:
            rows[number] = (rows[own_children[0]] + rows[own_children[-1]]) / 2
    return [(_MARGIN + depths[number] * step, _MARGIN + rows[number] * _ROW) for number in range(len(boxes))]


def _draw_box(
    into: ET.Element, box: Box, place: tuple[float, float], width: int, parent_name: str | None, colour: str | None
) -> None:
    x, y = place
    based_on = f"based on {parent_name}" if parent_name else ""
    title = ", ".join(filter(None, (box.name, box.more, box.state, based_on)))
    item = ET.SubElement(into, "g", {"role": "listitem", "transform": f"translate({x:g} {y:g})"})
    classes = [f"tw-{box.state.replace(' ', '-')}"] * bool(box.state) + ["tw-here"] * box.here
    if classes:
        item.set("class", " ".join(classes))
    inner = ET.SubElement(item, "a", {"href": box.link, "aria-label": printable(title)}) if box.link else item
    _text(inner, "title", title)
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

#: Texts of the cells. They are clear without colours.
_WORDS = {CellState.PASSED: "✓ passed", CellState.FAILED: "✕ failed", CellState.NOT_REACHED: "not reached"}


def draw_matrix(matrix: Matrix) -> str:
    """Draw a compatibility matrix: a row for each tier, a column for each variant.

    Returns:
        An ``svg`` element for a page of the report; the style sheet of the page sets the colours.
    """
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
    _matrix_text(picture, "title", _matrix_title(matrix))
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


def _matrix_title(matrix: Matrix) -> str:
    """Describe the picture in words, for screen readers."""
    cells = [(variant, cell) for variant in matrix.variants for cell in variant.tiers]
    not_passed = [
        f"{cell.tier} {cell.state} on {variant.title}" for variant, cell in cells if cell.state is not CellState.PASSED
    ]
    return f"{len(matrix.tiers)} tiers on {len(matrix.variants)} variants: " + (", ".join(not_passed) or "all passed")


def _draw_cell(into: ET.Element, cell: Cell, x: int, y: int) -> None:
    group = ET.SubElement(into, "g", {"class": cell.state.replace(" ", "-"), "transform": f"translate({x} {y})"})
    size = {"width": f"{_COLUMN - _MATRIX_GAP}", "height": f"{_MATRIX_ROW - _MATRIX_GAP}", "rx": "5"}
    ET.SubElement(group, "rect", size)
    _matrix_text(
        group, "text", _WORDS[cell.state], {"x": f"{(_COLUMN - _MATRIX_GAP) / 2:g}", "y": "23", "text-anchor": "middle"}
    )


def _matrix_text(into: ET.Element, tag: str, words: str, attributes: dict[str, str] | None = None) -> None:
    ET.SubElement(into, tag, attributes or {}).text = printable(words)
