"""Mends what screen readers and keyboards miss in the pages: levels of headings, and code that scrolls."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

#: What Sphinx writes, and what it should write.
_NAVIGATION = ('role="heading"', 'role="heading" aria-level="2"')
_CODE = ("<pre>", '<pre tabindex="0">')


def _mend(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    del app, page, template, doctree
    for name, change in (("furo_navigation_tree", _NAVIGATION), ("body", _CODE)):
        if context.get(name):
            context[name] = context[name].replace(*change)


def setup(app: Sphinx) -> dict[str, bool]:
    """Change each page before it is written. The theme adds its navigation first."""
    app.connect("html-page-context", _mend, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
