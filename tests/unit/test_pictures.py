"""The pictures in the documentation are up to date."""

from __future__ import annotations

import pytest

import pictures

#: They test files of the project, not its behaviour.
pytestmark = pytest.mark.once


@pytest.mark.parametrize(("page", "name"), pictures.PICTURES)
def test_pictures_are_up_to_date(page, name):
    text = (pictures.ROOT / page).read_text()
    assert pictures.with_picture(page, name, text) == text, "run: python tests/pictures.py"


def test_a_page_without_markers_is_an_error():
    with pytest.raises(ValueError, match=r"README\.md has no marker"):
        pictures.with_picture("README.md", "chain", "# Tierwright\n")
