# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The templates of a report's pages, their filters, and the content security policy.

All text from images is escaped, because a hostile image may contain text that attacks the report.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ..deployment.deployed_service import has_failed
from ..text import age, one_line, printable, short, size
from ..transports.image import LayerInfo, PackageChange
from . import pictures

#: Limit for the characters of a text; the rest is cut off.
_LONGEST = 4000


def shown(value: object) -> object:
    """Replace control characters and invisible characters in a text; other values do not change."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)


def text(words: str) -> Markup:
    """Format a text. If it has several lines, they are kept."""
    lines = [printable(line) for line in words[:_LONGEST].strip().splitlines()]
    if len(lines) > 1:
        return Markup("<pre>{}</pre>").format("\n".join(lines))
    return escape("".join(lines))


def moment(when: str | None) -> Markup:
    """Format an RFC 3339 time for people, in UTC; ``None`` becomes a dash."""
    if when is None:
        return Markup("&ndash;")
    time = datetime.fromisoformat(when).astimezone(UTC)
    element = Markup('<time datetime="{}">{}</time>')
    return element.format(time.strftime("%Y-%m-%dT%H:%M:%SZ"), f"{time.day} {time:%b %Y}, {time:%H:%M}")


def since(when: str | None, made: str) -> Markup:
    """Format a time, and how long ago it was when the report was made."""
    if when is None:
        return moment(when)
    return Markup('{} <span class="quiet">({} old)</span>').format(moment(when), age(when, made))


def made_by(layer: LayerInfo) -> str:
    """Return what made a layer, shortened to one line."""
    return one_line(layer.made_by, 120)


def why(reasons: list[str] | None) -> str:
    """Format the reasons why a release was built."""
    if reasons is None:
        return "not recorded"
    return "; ".join(reasons) or "the first release"


def package_counts(changes: Iterable[PackageChange]) -> tuple[int, int, int]:
    """Count the added, changed and removed packages."""
    kinds = [(change.before is None, change.after is None) for change in changes]
    added, removed = sum(is_new for is_new, _ in kinds), sum(is_gone for _, is_gone in kinds)
    return added, sum(kind == (False, False) for kind in kinds), removed


_HERE = Path(__file__).parent
_STYLE = (_HERE / "style.css").read_text(encoding="utf-8")
_SCRIPTS = tuple((_HERE / name).read_text(encoding="utf-8") for name in ("vendor/sortable.min.js", "script.js"))


def environment(made: str, **values: Any) -> Environment:
    """Create the environment of the templates of a report that was made at a time.

    ``values`` are available in every template.
    """
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for function in (moment, made_by, package_counts, text, why, short, size):
        templates.filters[function.__name__] = function
    templates.filters["since"] = partial(since, made=made)
    templates.tests["unsuccessful"] = has_failed
    templates.globals |= {
        "policy": _policy(),
        "style": Markup(_STYLE),  # noqa: S704 - our own file
        "scripts": [Markup(script) for script in _SCRIPTS],  # noqa: S704 - our own files
        **values,
    }
    return templates


def _policy() -> str:
    """Return the content security policy: only the styles and scripts inside the pages, and nothing from elsewhere.

    It names them by their digests. ``'self'`` does not work, because a page that is opened as a file has no origin.
    """
    styles, scripts = (" ".join(map(_source, texts)) for texts in ((_STYLE, pictures.STYLE), _SCRIPTS))
    rules = ("default-src 'none'", f"style-src {styles}", f"script-src {scripts}", "img-src data:", "base-uri 'none'")
    return "; ".join([*rules, "form-action 'none'"])


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
