# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How pages say what facts hold. Whatever comes from an image is escaped: it may have been made to be shown here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from markupsafe import Markup, escape

from ..foreign import printable
from ..inspect.answer import Layer, PackageChange
from ..inspect.words import one_line

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


def made_by(layer: Layer) -> str:
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
