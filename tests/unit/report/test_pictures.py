"""Family trees drawn as pictures, with any names."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.pictures import Box, colours, draw_tree

SVG = "{http://www.w3.org/2000/svg}"


def draw(*boxes):
    return ET.fromstring(draw_tree(boxes, "A family"))


def corners(picture):
    items = picture.findall(f".//{SVG}g[@role='listitem']")
    return [tuple(map(float, re.findall(r"[\d.]+", item.get("transform")))) for item in items]


@st.composite
def families(draw_value):
    count = draw_value(st.integers(0, 30))
    parents = [draw_value(st.none() | st.integers(0, number - 1)) if number else None for number in range(count)]
    words = st.text(max_size=50)
    return [
        Box(
            draw_value(words), parent, draw_value(words), draw_value(words), draw_value(st.sampled_from(["", "failed"]))
        )
        for parent in parents
    ]


@settings(deadline=None)
@given(families())
def test_boxes_do_not_overlap_and_are_right_of_their_parents(boxes):
    picture = draw(*boxes)
    positions = corners(picture)
    assert len(positions) == len(boxes) == len(set(positions))
    width = max((float(element.get("width")) for element in picture.iter(f"{SVG}rect")), default=0)
    for box, (x, y) in zip(boxes, positions, strict=True):
        assert box.parent is None or x > positions[box.parent][0] + width
        assert 0 <= x <= float(picture.get("width")) - width
        assert 0 <= y <= float(picture.get("height")) - 58
    columns = {x: sorted(y for u, y in positions if u == x) for x, _ in positions}
    for column in columns.values():
        assert all(below - above > 58 for above, below in itertools.pairwise(column))


def test_everything_is_readable_without_colours():
    picture = draw(Box("base", None, "tier base", "ops"), Box("web", 0, "tier web", "mid", "failed", "#web"))
    assert picture.findtext(f"{SVG}title") == "A family"
    assert "2 boxes" in picture.findtext(f"{SVG}desc")
    item = picture.findall(f".//{SVG}g[@role='listitem']")[1]
    link = item.find(f"{SVG}a")
    assert item.get("class") == "tw-failed"
    assert link.get("href") == "#web"
    assert link.get("aria-label") == link.findtext(f"{SVG}title") == "web, tier web, failed, based on base"


def test_each_group_has_its_own_colour():
    picture = draw(*(Box(str(number), None, group=group) for number, group in enumerate(["a", "b", "a", None])))
    fills = [rectangle.get("fill") for rectangle in picture.iter(f"{SVG}rect") if rectangle.get("fill")]
    assert fills[0] == fills[2] != fills[1]
    assert len(fills) == 3


def test_pictures_can_share_colours():
    shared = colours(["b", None, "a"])
    assert list(shared) == ["a", "b"]
    text = draw_tree([Box("one", None, group="b"), Box("two", None, group="of nobody")], "it", colouring=shared)
    assert [element.get("fill") for element in ET.fromstring(text).iter(f"{SVG}rect") if element.get("fill")] == [
        shared["b"]
    ]


def test_states_and_the_tier_of_the_page_are_marked():
    picture = draw(Box("a", None, state="not reached", here=True), Box("b", 0, here=True), Box("c", 0))
    kinds = [item.get("class") for item in picture.findall(f".//{SVG}g[@role='listitem']")]
    assert kinds == ["tw-not-reached tw-here", "tw-here", None]


def test_boxes_are_as_wide_as_their_text():
    widths = [
        float(draw(Box(name, None)).find(f".//{SVG}rect").get("width")) for name in ("a", "corebuild" * 2, "a" * 90)
    ]
    assert 0 < widths[0] < widths[1] < widths[2] < 300


def test_a_picture_loads_nothing_and_runs_nothing():
    text = draw_tree([Box("<script>alert(1)</script>\x1b", None)], "<b>")
    assert "<script" not in text
    assert r"\x1b" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
