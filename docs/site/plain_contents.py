"""Leaves the table of contents out of the pages of antsibull-docs: the theme shows its own beside each page."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

_CONTENTS = re.compile(r"^\.\. contents::\n(?:   .*\n)*", re.MULTILINE)


def _remove(app: Sphinx, docname: str, source: list[str]) -> None:
    del app
    if docname.startswith("docs/reference/"):
        source[0] = _CONTENTS.sub("", source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Change the pages when Sphinx reads them."""
    app.connect("source-read", _remove)
    return {"parallel_read_safe": True}
