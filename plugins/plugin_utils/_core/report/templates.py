# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Templates, filters and content policy.

How pages say what facts hold. Whatever comes from an image is escaped: it may have been made to be shown here.

The templates of a report's pages, and what a browser may do with these pages.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ..text import one_line, printable, short, size
from ..transports.image import LayerInfo, PackageChange
from . import pictures

_LONGEST = 4000


def shown(value: object) -> object:
    """What is written for a value: text without what could steer a page or hide in it."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)


def text(words: str) -> Markup:
    """Text of one or several lines, as it was said."""
    lines = [printable(line) for line in words[:_LONGEST].strip().splitlines()]
    if len(lines) > 1:
        return Markup("<pre>{}</pre>").format("\n".join(lines))
    return escape("".join(lines))


def moment(when: str | None) -> Markup:
    """A time as people read it, in UTC."""
    if when is None:
        return Markup("&ndash;")
    at = datetime.fromisoformat(when).astimezone(UTC)
    written = Markup('<time datetime="{}">{}</time>')
    return written.format(at.strftime("%Y-%m-%dT%H:%M:%SZ"), f"{at.day} {at:%b %Y}, {at:%H:%M}")


def made_by(layer: LayerInfo) -> str:
    """What made a layer, in one line."""
    return one_line(layer.made_by, 120)


def why(reasons: list[str] | None) -> str:
    """Why a release was built."""
    if reasons is None:
        return "not told"
    return "; ".join(reasons) or "the first"


def package_counts(changes: Iterable[PackageChange]) -> tuple[int, int, int]:
    """How many packages were added, changed and removed."""
    kinds = [(each.before is None, each.after is None) for each in changes]
    return sum(new for new, _ in kinds), sum(kind == (False, False) for kind in kinds), sum(gone for _, gone in kinds)


_HERE = Path(__file__).parent
_STYLE = (_HERE / "style.css").read_text(encoding="utf-8")
_SCRIPTS = tuple((_HERE / name).read_text(encoding="utf-8") for name in ("vendor/sortable.min.js", "script.js"))


def environment(**values: Any) -> Environment:
    """The templates, with values that every page has."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for each in (moment, made_by, package_counts, text, why, short, size):
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
    styles, scripts = (" ".join(map(_source, texts)) for texts in ((_STYLE, pictures.STYLE), _SCRIPTS))
    rules = ("default-src 'none'", f"style-src {styles}", f"script-src {scripts}", "img-src data:", "base-uri 'none'")
    return "; ".join([*rules, "form-action 'none'"])


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
