# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A compatibility matrix as a picture: SVG, a row for each tier and a column for each variant."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from ..contract.matrix import Cell, Matrix, State
from ..foreign import printable
from ..inspect.words import one_line

_HEAD, _ROW, _FIRST, _COLUMN, _GAP = 44, 40, 190, 150, 4
_LONGEST_TIER, _LONGEST_TITLE = 24, 20

#: What a cell says, the same with and without colours.
_WORDS = {State.PASSED: "✓ passed", State.FAILED: "✕ failed", State.NOT_REACHED: "not reached"}


def draw(matrix: Matrix) -> str:
    """Draw a matrix, as an ``svg`` element for a page that styles it."""
    width, height = _FIRST + _COLUMN * len(matrix.variants), _HEAD + _ROW * len(matrix.tiers) + _GAP
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
    _text(picture, "title", _told(matrix))
    for column, variant in enumerate(matrix.variants):
        place = {"x": f"{_FIRST + _COLUMN * (column + 0.5):g}", "y": "28", "text-anchor": "middle"}
        _text(picture, "text", one_line(variant.title, _LONGEST_TITLE), place)
    for row, tier in enumerate(matrix.tiers):
        middle = _HEAD + _ROW * row + 24
        _text(picture, "text", one_line(tier, _LONGEST_TIER), {"x": "14", "y": f"{middle}"})
        for column, variant in enumerate(matrix.variants):
            if (cell := variant.cell(tier)) is not None:
                _draw_cell(picture, cell, _FIRST + _COLUMN * column, _HEAD + _ROW * row)
    return ET.tostring(picture, encoding="unicode")


def _told(matrix: Matrix) -> str:
    """Everything that the picture says, for those who do not see it."""
    cells = [(variant, cell) for variant in matrix.variants for cell in variant.tiers]
    bad = [f"{cell.tier} {cell.state} on {variant.title}" for variant, cell in cells if cell.state is not State.PASSED]
    return f"{len(matrix.tiers)} tiers on {len(matrix.variants)} variants: " + (", ".join(bad) or "all passed")


def _draw_cell(into: ET.Element, cell: Cell, x: int, y: int) -> None:
    group = ET.SubElement(into, "g", {"class": cell.state.replace(" ", "-"), "transform": f"translate({x} {y})"})
    size = {"width": f"{_COLUMN - _GAP}", "height": f"{_ROW - _GAP}", "rx": "5"}
    ET.SubElement(group, "rect", size)
    _text(group, "text", _WORDS[cell.state], {"x": f"{(_COLUMN - _GAP) / 2:g}", "y": "23", "text-anchor": "middle"})


def _text(into: ET.Element, tag: str, words: str, attributes: dict[str, str] | None = None) -> None:
    ET.SubElement(into, tag, attributes or {}).text = printable(words)
