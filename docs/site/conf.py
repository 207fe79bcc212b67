"""Settings of Sphinx. `make docs` reads the pages where they are, so their links are those that GitHub follows."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

project = "Tierwright"
author = "Tierwright contributors"
copyright = author  # noqa: A001 - Sphinx's name
version = release = re.search(r"^version: *(\S+)$", (ROOT / "galaxy.yml").read_text(), re.MULTILINE)[1]

extensions = ["myst_parser", "navigation", "diagrams", "plugin_pages", "accessible", "html_pictures"]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/reference/*",
    "docs/schemas/*",
    "inventories/*/README.md",
    "roles/*/README.md",
    "tests/*/README.md",
]
#: Sphinx walks through all other folders, and through links between them.
_READ = {"docs", "inventories", "roles", "tests"}
exclude_patterns = [path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in _READ]

myst_heading_anchors = 4
html_theme = "furo"
html_title = f"Tierwright {release}"
html_static_path = ["static"]
html_extra_path = ["root"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
# A browser refuses to read other pages from a script, if the site is opened as a file.
html_show_search_summary = False
html_theme_options = {
    "source_repository": "https://github.com/tierwright/tierwright/",
    "source_branch": "main",
    "source_directory": "",
}
