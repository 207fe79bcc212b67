# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Path patterns, and where symbolic links lead.

Patterns of paths, as tiers and the list of residue write them.

``*`` and ``?`` stand for what has no slash in it, ``**`` for anything, ``[…]`` for one character; a pattern covers all
that is below what it names.

Where paths lead in a container, whether it runs or not: nothing in it is asked.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator

from ..engine.engine import Engine

#: Says whether a path, without a slash at either end, is one of those.
Matcher = Callable[[bytes], re.Match[bytes] | None]

_WILDCARDS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
_SPECIAL = re.compile(r"[*?]|\[[^]/]+\]")


def matcher(patterns: Iterable[str]) -> Matcher:
    """Compile what says whether a path is at or below what one of the patterns names.

    Raises:
        re.error: A pattern is none: ``[z-a]``.
    """
    expressions = [_expression(pattern.strip("/")) for pattern in patterns]
    return _compiled(f"(?:{'|'.join(expressions)})(?:/|$)" if expressions else "(?!)").match


def holder(patterns: Iterable[str]) -> Matcher:
    """Compile what says whether something below a folder, which no pattern covers, may be what one of them names.

    Raises:
        re.error: A pattern is none.
    """
    expressions = [each for pattern in patterns for each in _beginnings(pattern.strip("/"))]
    return _compiled("|".join(expressions) or "(?!)").fullmatch


def split(pattern: str) -> tuple[str, str]:
    """Split a pattern into the folders that it names without wildcards, and the rest; the latter may be empty."""
    parts = [part for part in pattern.split("/") if part]
    fixed = next((index for index, part in enumerate(parts) if _SPECIAL.search(part)), len(parts))
    return "/".join(parts[:fixed]), "/".join(parts[fixed:])


def literally(path: str) -> str:
    """Write a pattern that names ``path`` alone, and what is below it."""
    return re.sub(r"[*?\[]", lambda found: f"[\\{found[0]}]", path)


def _beginnings(pattern: str) -> Iterator[str]:
    *folders, last = pattern.split("/")
    done = ""
    for part in folders:
        if "**" in part:
            break
        done += _expression(part)
        yield done
        done += "/"
    else:
        part = last
    if "**" in part:
        yield done + _expression(part.partition("**")[0]) + ".*"


def _compiled(expression: str) -> re.Pattern[bytes]:
    return re.compile(os.fsencode(expression), re.DOTALL)


def _expression(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]/]+\])", pattern)
    return "".join(_WILDCARDS.get(part) or _literal(part) for part in parts)


def _literal(part: str) -> str:
    if part == "**/":
        return "(?:.*/)?"
    return part if re.fullmatch(r"\[[^]/]+\]", part) else re.escape(part)


#: Links that a path may lead through, as for Linux.
_MOST_LINKS = 40


def way(path: str, link: Callable[[str], str | None]) -> list[str]:
    """Walk to ``path`` from the root, following links, and the last one, too.

    Args:
        path: Where to.
        link: Says where the symbolic link at a path leads; ``None`` for everything else.

    Returns:
        Every folder and link on the way, and last of all where it ends, which need not exist. Where links lead round in
        a circle, it ends at ``path`` itself.
    """
    walked, left, links = ["/"], _parts(path), 0
    while left:
        part = left.pop(0)
        walked.append(posixpath.dirname(walked[-1]) if part == ".." else posixpath.join(walked[-1], part))
        target = link(walked[-1])
        if target is None:
            continue
        links += 1
        if links > _MOST_LINKS:
            return [*walked, posixpath.normpath(path)]
        left = [*_parts(target), *left]
        walked.append("/" if target.startswith("/") else posixpath.dirname(walked[-1]))
    return walked


class Links:
    """The symbolic links of one container; the engine is asked once for each path."""

    def __init__(self, engine: Engine, container: str) -> None:
        """Take the engine and the container's ID."""
        self._engine = engine
        self._container = container
        self._known: dict[str, str | None] = {}

    def way(self, path: str) -> list[str]:
        """Walk to ``path``; see :func:`way`.

        Raises:
            EngineError: The engine does not answer.
        """
        return way(path, self._link)

    def _link(self, path: str) -> str | None:
        """Where a symbolic link leads; ``None`` for everything else."""
        if path not in self._known:
            found = self._engine.files.info(self._container, path)
            self._known[path] = found.target if found else None
        return self._known[path]


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]
