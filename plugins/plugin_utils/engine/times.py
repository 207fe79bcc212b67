# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Times as engines write them: RFC 3339, with up to nine digits of a second, of which Python knows six."""

from __future__ import annotations

import re
from datetime import datetime

_FRACTION = re.compile(r"\.\d+")


def seconds(text: str) -> int:
    """Seconds since 1970; 0 where it is no time."""
    try:
        return int(datetime.fromisoformat(_FRACTION.sub("", text)).timestamp())
    except ValueError:
        return 0


def nanoseconds(text: str) -> int | None:
    """Nanoseconds since 1970; ``None`` where it is no time."""
    whole, _, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :] if rest else ""
    try:
        moment = datetime.fromisoformat(whole + zone).timestamp()
    except ValueError:
        return None
    return int(moment) * 10**9 + int((digits + "0" * 9)[:9])
