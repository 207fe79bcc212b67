# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Path patterns, and the resolution of symbolic links in a container.

In a pattern, ``*`` matches any text without a slash, ``?`` one character except a slash, ``**`` any text, and ``[…]``
one character of a set. A pattern also covers everything below a path that it matches.

Links are resolved without running anything in the container, so it need not run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator

from ..engine.engine import Engine
from ..symlinks import walk

#: Tells whether a path matches. The path has no slash at either end.
Matcher = Callable[[bytes], re.Match[bytes] | None]

_WILDCARDS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
_SPECIAL = re.compile(r"[*?]|\[[^]/]+\]")


def matcher(patterns: Iterable[str]) -> Matcher:
    """Compile a test whether a path is covered by a pattern: it matches the pattern, or lies below a matching path.

    Raises:
        re.error: A pattern is invalid, for example ``[z-a]``.
    """
    expressions = [_expression(pattern.strip("/")) for pattern in patterns]
    return _compiled(f"(?:{'|'.join(expressions)})(?:/|$)" if expressions else "(?!)").match


def prefix_matcher(patterns: Iterable[str]) -> Matcher:
    """Compile a test whether a path below a folder could match one of the patterns.

    The test is for folders that :func:`matcher` does not cover.

    Raises:
        re.error: A pattern is invalid.
    """
    expressions = [prefix for pattern in patterns for prefix in _prefixes(pattern.strip("/"))]
    return _compiled("|".join(expressions) or "(?!)").fullmatch


def split(pattern: str) -> tuple[str, str]:
    """Split a pattern into its leading folders without wildcards, and the rest, which may be empty."""
    parts = [part for part in pattern.split("/") if part]
    fixed = next((index for index, part in enumerate(parts) if _SPECIAL.search(part)), len(parts))
    return "/".join(parts[:fixed]), "/".join(parts[fixed:])


def escape(path: str) -> str:
    """Return a pattern that matches only ``path`` (and covers everything below it)."""
    return re.sub(r"[*?\[]", lambda wildcard: f"[\\{wildcard[0]}]", path)


def _prefixes(pattern: str) -> Iterator[str]:
    *folders, last = pattern.split("/")
    prefix = ""
    for part in folders:
        if "**" in part:
            break
        prefix += _expression(part)
        yield prefix
        prefix += "/"
    else:
        part = last
    if "**" in part:
        yield prefix + _expression(part.partition("**")[0]) + ".*"


def _compiled(expression: str) -> re.Pattern[bytes]:
    return re.compile(os.fsencode(expression), re.DOTALL)


def _expression(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]/]+\])", pattern)
    return "".join(_WILDCARDS.get(part) or _literal(part) for part in parts)


def _literal(part: str) -> str:
    if part == "**/":
        return "(?:.*/)?"
    return part if re.fullmatch(r"\[[^]/]+\]", part) else re.escape(part)


class Links:
    """The symbolic links of one container. The engine is asked once for each path; answers are cached."""

    def __init__(self, engine: Engine, container: str) -> None:
        """Take the engine and the container's ID."""
        self._engine = engine
        self._container = container
        self._targets: dict[str, str | None] = {}

    def walk(self, path: str) -> list[str]:
        """Walk to ``path``; see :func:`walk`.

        Raises:
            EngineError: The engine does not answer.
        """
        return walk(path, self._target)

    def _target(self, path: str) -> str | None:
        """Return the target of a symbolic link; ``None`` if the path is not a link."""
        if path not in self._targets:
            info = self._engine.files.info(self._container, path)
            self._targets[path] = info.target if info else None
        return self._targets[path]
