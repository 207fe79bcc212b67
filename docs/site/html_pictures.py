"""Copies the pictures that pages name in HTML, as GitHub needs it for pictures in two themes, to the same place."""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_NAME = re.compile(r'\b(?:src|srcset)="(?P<path>[^":]+)"')


def _copy(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for block in doctree.findall(nodes.raw):
        for name in _NAME.finditer(block.astext()):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(docname), name["path"]))
            source, target = Path(app.srcdir, path), Path(app.outdir, path)
            if not source.is_file():
                raise ExtensionError(f"{docname} shows {name['path']}, but there is no file {source}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def setup(app: Sphinx) -> dict[str, bool]:
    """Copy the pictures of each page when it is complete."""
    app.connect("doctree-resolved", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
