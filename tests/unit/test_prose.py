"""Documentation is easy to read: no sentence is longer than 30 words, except in tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

#: It tests files of the project, not its behaviour.
pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("roles/*/README.md")} - {ROOT / "CHANGELOG.md"})
MOST_WORDS = 30
_CODE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)")


def sentences(text: str) -> Iterator[str]:
    """Sentences of a Markdown page; code counts as one word, and tables and headings do not count."""
    for block in _BLOCK.split(_CODE.sub("\n\n", text)):
        lines = [line.strip() for line in block.splitlines() if not line.lstrip().startswith(("|", "#", "<"))]
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "CODE", " ".join(lines)))
        yield from re.split(r"(?<=[.!?:;])\s+", words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_is_too_long(page):
    long_sentences = [sentence for sentence in sentences(page.read_text()) if len(sentence.split()) > MOST_WORDS]
    assert long_sentences == []


def test_a_long_sentence_is_found():
    words = "word " * 40
    text = f"# {words}\n\n| {words} |\n\nShort. {'word ' * 31}end.\n\n```\n{words}\n```\n- {'word ' * 9}\n"
    assert [len(sentence.split()) for sentence in sentences(text) if len(sentence.split()) > MOST_WORDS] == [32]
