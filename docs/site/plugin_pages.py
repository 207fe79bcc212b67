"""Adapts the pages of antsibull-docs, which are made for GitHub: their table of contents, and links between them."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

#: The theme shows a table of contents of its own beside each page.
_CONTENTS = re.compile(r"^\.\. contents::\n(?:   .*\n)*", re.MULTILINE)
_LINK = re.compile(r"<(?P<page>\w+)\.rst(?P<place>#[^>]*)?>`")
#: In tables, antsibull-docs writes links in HTML, for a site that has all collections.
_OTHER_FOLDER = "../../tierwright/chain/"
_BUILTIN = "https://docs.ansible.com/ansible/latest/collections/ansible/builtin/"


def _address(page: str, folder: Path) -> str:
    """The page of a module or plugin: one of this site, or one of Ansible's own documentation."""
    return f"{page}.html" if (folder / f"{page}.rst").is_file() else f"{_BUILTIN}{page}.html"


def _adapt(app: Sphinx, docname: str, source: list[str]) -> None:
    folder = Path(app.srcdir, docname).parent
    if docname.startswith("docs/reference/"):
        text = _CONTENTS.sub("", source[0]).replace(_OTHER_FOLDER, "").replace("../../ansible/builtin/", _BUILTIN)
        source[0] = _LINK.sub(lambda link: f"<{_address(link['page'], folder)}{link['place'] or ''}>`", text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Change the pages when Sphinx reads them."""
    app.connect("source-read", _adapt)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
