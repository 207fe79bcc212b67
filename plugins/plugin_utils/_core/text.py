# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text for users: escaped for a terminal, and sizes, ages and names in short forms.

Text from images, engines, containers and tests must be escaped. Otherwise a file name, a label or a test message could
move the cursor, change colours, or hide lines. Errors, records of a run, and all printed text are escaped here.
"""

from __future__ import annotations

import time
from datetime import datetime


def printable(text: str) -> str:
    r"""Escape (``\x1b``) control characters, bytes that are not UTF-8, and characters that change text direction."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_lines(text: str) -> str:
    """Escape text of several lines. Line feeds and tabs are kept; CR LF becomes a line feed."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)


_UNITS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))
_AGES = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_DIGITS = 12
_SMALL = 10


def size(count: int | None) -> str:
    """Format a number of bytes: ``468 MB``, ``4.6 MB``, ``12 B``; ``-`` for ``None``."""
    if count is None:
        return "-"
    for unit, name in _UNITS:
        if count >= unit:
            number = count / unit
            return f"{number:.1f} {name}" if number < _SMALL else f"{number:.0f} {name}"
    return f"{count} B"


def age(moment: str | None, now: str | None = None) -> str:
    """Format the age of an RFC 3339 time: ``3 days``; ``-`` for ``None``. It counts until ``now``, or until today."""
    if moment is None:
        return "-"
    end = time.time() if now is None else datetime.fromisoformat(now).timestamp()
    seconds = max(0, int(end - datetime.fromisoformat(moment).timestamp()))
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{seconds // unit} {name}{'s' if seconds // unit > 1 else ''}"
    return "now"


def day(moment: str | None) -> str:
    """Return the day of an RFC 3339 time: ``2026-11-24``; ``-`` for ``None``."""
    return "-" if moment is None else moment[:10]


def short(identity: str | None) -> str:
    """Return the short form of an ID: 12 digits without ``sha256:``; ``-`` for ``None``."""
    return (identity or "-").removeprefix("sha256:")[:_DIGITS]


def one_line(text: str | None, width: int = 60) -> str:
    """Write a command or a value in one line, cut to ``width`` characters; ``-`` for ``None``."""
    words = " ".join((text or "-").split())
    return words if len(words) <= width else words[: width - 1] + "…"
