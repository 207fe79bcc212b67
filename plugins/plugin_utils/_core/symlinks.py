# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Follows symbolic links as the kernel does, in any tree that can tell the target of a link."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

#: Limit of links on the way to a path, the same as in Linux (``path_resolution(7)``).
_MAX_LINKS = 40


def walk(path: str, link: Callable[[str], str | None]) -> list[str]:
    """Walk from the root to ``path``, and follow all links, including the last one.

    Args:
        path: The path to resolve.
        link: Returns the target of the symbolic link at a path; ``None`` if the path is not a link.

    Returns:
        Every folder and link on the way. The last item is the resolved path, which need not exist. If links form a
        loop, the last item is ``path`` itself.
    """
    visited, remaining, links = ["/"], _parts(path), 0
    while remaining:
        part = remaining.pop(0)
        visited.append(posixpath.dirname(visited[-1]) if part == ".." else posixpath.join(visited[-1], part))
        target = link(visited[-1])
        if target is None:
            continue
        links += 1
        if links > _MAX_LINKS:
            return [*visited, posixpath.normpath(path)]
        remaining = [*_parts(target), *remaining]
        visited.append("/" if target.startswith("/") else posixpath.dirname(visited[-1]))
    return visited


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]
