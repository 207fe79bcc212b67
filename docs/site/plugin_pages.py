"""Adapts the pages of antsibull-docs, which are made for GitHub: their table of contents, and links between them."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

#: The theme shows a table of contents of its own beside each page.
_CONTENTS = re.compile(r"^\.\. contents::\n(?:   .*\n)*", re.MULTILINE)
_LINK = re.compile(r"<(?P<page>\w+)\.rst(?P<place>#[^>]*)?>`")
#: In tables, antsibull-docs writes links in HTML, for a site that has all collections.
_OTHER_FOLDER = "../../tierwright/chain/"
_BUILTIN = ("../../ansible/builtin/", "https://docs.ansible.com/ansible/latest/collections/ansible/builtin/")


def _adapt(app: Sphinx, docname: str, source: list[str]) -> None:
    del app
    if docname.startswith("docs/reference/"):
        text = _CONTENTS.sub("", source[0]).replace(_OTHER_FOLDER, "").replace(*_BUILTIN)
        source[0] = _LINK.sub(lambda link: f"<{link['page']}.html{link['place'] or ''}>`", text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Change the pages when Sphinx reads them."""
    app.connect("source-read", _adapt)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
