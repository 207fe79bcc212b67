# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Patterns of a policy. They have the wildcards of ``tier_drop``.

``*`` matches any text without a slash, ``?`` one character except a slash, ``**`` any text, and ``[…]`` one character
of a set. A backslash has no meaning, and upper and lower case differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_PARTS = re.compile(r"(\*\*/|\*\*|\*|\?|\[[^]/]+\])")
#: Characters with a meaning in a set of a regular expression that they do not have in ours.
_NOT_LITERAL = re.compile(r"[\\\[&~|]")


def pattern_problem(pattern: str) -> str | None:
    """Return why a text is not a valid pattern; ``None`` if it is valid."""
    try:
        _compile(pattern)
    except re.error as error:
        return f"it is not a valid pattern ({error})"
    return None


def matches(pattern: str, text: str) -> bool:
    """Tell whether a pattern matches a whole text."""
    return _compile(pattern).fullmatch(text) is not None


def matches_any(patterns: Iterable[str], text: str) -> bool:
    """Tell whether one of some patterns matches a whole text."""
    return any(matches(pattern, text) for pattern in patterns)


def covers(patterns: Iterable[str], path: str) -> bool:
    """Tell whether one of some patterns matches a path, or a folder above it."""
    return any(_compile(pattern.rstrip("/"), r"(?:/|\Z)").match(path) for pattern in patterns)


@lru_cache(maxsize=4096)
def _compile(pattern: str, end: str = "") -> re.Pattern[str]:
    return re.compile("".join(map(_expression, _PARTS.split(pattern))) + end, re.DOTALL)


def _expression(part: str) -> str:
    if part in _WILDCARDS:
        return _WILDCARDS[part]
    if part[:1] == "[" and part[-1:] == "]":
        return f"[{_NOT_LITERAL.sub(_escape, part[1:-1])}]"
    return re.escape(part)


def _escape(match: re.Match[str]) -> str:
    return f"\\{match[0]}"
