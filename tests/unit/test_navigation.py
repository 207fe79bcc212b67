"""The navigation of the site comes from pages that list others, and each page has one place in it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SPEC = importlib.util.spec_from_file_location("navigation", ROOT / "docs/site/navigation.py")
navigation = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(navigation)

#: It tests files of the project, not its behaviour.
pytestmark = pytest.mark.once


def test_sections_are_headings_with_their_pages():
    one = "## One\n- [a](a.md): see [b](x/b.rst)\n- [a again](a.md)\n"
    text = f"# Index\n[no](no.md)\n{one}## None\ntext\n## Two\n[c](c.md#d)\n"
    assert navigation.sections(text) == {"One": ["a", "x/b"]}


def test_a_page_stays_in_its_first_section():
    assert navigation.sections("## One\n- [a](a.md)\n## Two\n- [a](a.md)\n- [b](b.md)\n") == {
        "One": ["a"],
        "Two": ["b"],
    }


def test_the_index_has_every_page_of_the_documentation():
    pages = {page for section in navigation.sections((ROOT / "docs/index.md").read_text()).values() for page in section}
    assert {path.stem for path in ROOT.glob("docs/*.md")} - {"index"} <= pages
