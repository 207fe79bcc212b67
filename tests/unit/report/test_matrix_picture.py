"""The compatibility matrix, drawn as a picture."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.variant_matrix import (
    Cell,
    CellState,
    Matrix,
    Variant,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.pictures import draw_matrix

SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_has_a_title_in_words():
    matrix = Matrix(
        1,
        "demo",
        None,
        "2026-11-24T09:30:00Z",
        [
            Variant("a", "<A>", [Cell("base", CellState.PASSED), Cell("web", CellState.PASSED)]),
            Variant("b", "B" * 60, [Cell("base", CellState.FAILED), Cell("web", CellState.NOT_REACHED)]),
            Variant("c", "C", [Cell("base", CellState.PASSED)]),
        ],
    )
    picture = ET.fromstring(draw_matrix(matrix))
    assert picture.find(f"{SVG}title").text == (
        f"2 tiers on 3 variants: base failed on {'B' * 60}, web not reached on {'B' * 60}"
    )
    words = [element.text for element in picture.iter(f"{SVG}text")]
    assert words[:3] == ["<A>", "B" * 19 + "…", "C"]
    assert [word for word in words if word[0] in "✓✕n"] == [
        "✓ passed",
        "✕ failed",
        "✓ passed",
        "✓ passed",
        "not reached",
    ]


def test_a_matrix_without_failures():
    matrix = Matrix(1, "demo", None, "2026-11-24T09:30:00Z", [Variant("a", "A", [Cell("base", CellState.PASSED)])])
    assert "1 tiers on 1 variants: all passed" in draw_matrix(matrix)
