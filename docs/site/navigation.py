"""Makes the navigation from pages that list other pages: each heading with a list becomes a section.

So these pages stay plain Markdown. Sphinx warns about a page that no section has.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from sphinx.application import Sphinx

#: The pages that list others: the index, and one of its pages.
_LISTS = ("docs/index", "docs/reference/README")
_SECTION = re.compile(r"^## (?P<title>.+)\n(?P<text>(?:(?!^## ).*\n?)*)", re.MULTILINE)
_PAGE = re.compile(r"\]\((?P<target>[^)#:]+)\.(?:md|rst)\)")


def sections(text: str) -> dict[str, list[str]]:
    """Pages of each section of a list, by its heading; paths are relative to the list, without a suffix.

    A page that a previous section has is left out, so it has one place.
    """
    seen: set[str] = set()
    found = {}
    for section in _SECTION.finditer(text):
        pages = [page["target"] for page in _PAGE.finditer(section["text"])]
        found[section["title"]] = [page for page in dict.fromkeys(pages) if page not in seen]
        seen.update(pages)
    return {title: pages for title, pages in found.items() if pages}


def _trees(docname: str, text: str) -> Iterator[str]:
    for title, pages in sections(text).items():
        names = [posixpath.normpath(posixpath.join("/", posixpath.dirname(docname), page)) for page in pages]
        yield "\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *names, "```", ""])


def _add(app: Sphinx, docname: str, source: list[str]) -> None:
    del app
    if docname in _LISTS:
        source[0] += "\n" + "\n".join(_trees(docname, source[0]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the navigation to the lists when Sphinx reads it."""
    app.connect("source-read", _add)
    return {"parallel_read_safe": True}
