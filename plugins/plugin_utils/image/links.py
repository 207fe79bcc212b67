# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where paths lead in a container, whether it runs or not: nothing in it is asked."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from ..engine.engine import Engine

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
