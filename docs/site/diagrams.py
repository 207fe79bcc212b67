"""Draws Mermaid diagrams in the reader's browser, with the script in `vendor`. Only pages with a diagram load it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_VENDOR = Path(__file__).parent / "vendor"
_SCRIPTS = ("mermaid.tiny.js", "diagrams.js")


class Diagram(nodes.literal_block):
    """The source of a diagram. It stays readable without scripts."""


def _find(app: Sphinx, doctree: nodes.document) -> None:
    """Take the code blocks with the language `mermaid` out of the hands of the highlighter."""
    del app
    for block in list(doctree.findall(nodes.literal_block)):
        if block.get("language") == "mermaid":
            source = block.astext()
            block.replace_self(Diagram(source, source))


def _visit(translator: Any, node: Diagram) -> None:
    translator.body.append(translator.starttag(node, "pre", CLASS="mermaid"))


def _depart(translator: Any, node: Diagram) -> None:
    del node
    translator.body.append("</pre>\n")


def _load(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    del page, template, context
    if doctree is not None and next(doctree.findall(Diagram), None) is not None:
        for script in _SCRIPTS:
            app.add_js_file(script)


def _serve(app: Sphinx) -> None:
    app.config.html_static_path.append(str(_VENDOR))


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw the diagrams of all pages."""
    app.add_node(Diagram, html=(_visit, _depart))
    app.connect("builder-inited", _serve)
    app.connect("doctree-read", _find)
    app.connect("html-page-context", _load)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
