# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text for people: harmless in a terminal, sizes, ages, short names.

Text that images, engines, containers and tests wrote, made harmless for a terminal.

Whoever can choose a file's name, a label or a test's message could otherwise move the cursor, change colours,
or hide lines. Everything that becomes an error or a record of a run goes through here; so does what is printed.

Sizes, ages and names as people read them.
"""

from __future__ import annotations

import time
from datetime import datetime


def printable(text: str) -> str:
    r"""Write as ``\x1b`` what is no text: control characters, bytes that are no UTF-8, what turns lines around."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def printable_lines(text: str) -> str:
    """The same for text of several lines: line feeds and tabs stay; other ends of lines become line feeds."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)


_UNITS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))
_AGES = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_DIGITS = 12
_SMALL = 10


def size(count: int | None) -> str:
    """Bytes for people: ``468 MB``, ``4.6 MB``, ``12 B``."""
    if count is None:
        return "-"
    for unit, name in _UNITS:
        if count >= unit:
            number = count / unit
            return f"{number:.1f} {name}" if number < _SMALL else f"{number:.0f} {name}"
    return f"{count} B"


def age(moment: str | None) -> str:
    """How long ago a time is: ``3 days``."""
    if moment is None:
        return "-"
    seconds = max(0, int(time.time() - datetime.fromisoformat(moment).timestamp()))
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{seconds // unit} {name}{'s' if seconds // unit > 1 else ''}"
    return "now"


def day(moment: str | None) -> str:
    """The day of an RFC 3339 time: ``2026-11-24``."""
    return "-" if moment is None else moment[:10]


def short(identity: str | None) -> str:
    """An ID as people write it."""
    return (identity or "-").removeprefix("sha256:")[:_DIGITS]


def one_line(text: str | None, width: int = 60) -> str:
    """A command or a value in one line, cut where it is long."""
    words = " ".join((text or "-").split())
    return words if len(words) <= width else words[: width - 1] + "…"
