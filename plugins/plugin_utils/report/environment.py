# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The templates of a report's pages, and what a browser may do with these pages."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..inspect import picture
from ..inspect.words import short, size
from . import words

_HERE = Path(__file__).parent
_STYLE = (_HERE / "style.css").read_text(encoding="utf-8")
_SCRIPTS = tuple((_HERE / name).read_text(encoding="utf-8") for name in ("vendor/sortable.min.js", "script.js"))


def environment(**values: Any) -> Environment:
    """The templates, with values that every page has."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=words.shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for each in (words.moment, words.made_by, words.package_counts, words.text, words.why, short, size):
        made.filters[each.__name__] = each
    made.globals |= {
        "policy": _policy(),
        "style": Markup(_STYLE),  # noqa: S704 - our own file
        "scripts": [Markup(script) for script in _SCRIPTS],  # noqa: S704 - our own files
        **values,
    }
    return made


def _policy() -> str:
    """What a browser may load: the styles and scripts that we put into the pages, and nothing from anywhere.

    By their digests, because a page that is opened as a file has no origin that ``'self'`` could mean.
    """
    styles, scripts = (" ".join(map(_source, texts)) for texts in ((_STYLE, picture.STYLE), _SCRIPTS))
    rules = ("default-src 'none'", f"style-src {styles}", f"script-src {scripts}", "img-src data:", "base-uri 'none'")
    return "; ".join([*rules, "form-action 'none'"])


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
