# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs in a container, listed from outside, whatever programs its image has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import EngineError
from .refusal import RefusedError, translated
from .session import Session


def rows(session: Session, container: str, columns: str | None = None) -> list[list[Any]]:
    """List the processes of a container that runs.

    Args:
        session: The way to the engine.
        container: The container.
        columns: Options of ``ps``; ``None`` for the engine's own choice.

    Raises:
        RefusedError: The container does not run.
        EngineError: The engine lists none for want of ``ps``: Docker runs its machine's, Podman 4 the container's.
    """
    doing = f"listing the processes of container {container}"
    try:
        with translated(doing):
            found = _asked(session, container, columns, doing)
            titles, processes = found["Titles"], list(found["Processes"] or ())
            if len(titles) > 1:
                return processes
            # Podman 4 gives out whole lines of what `ps` wrote in the container.
            return [line.split(None, len(titles[0].split()) - 1) for (line,) in processes]
    except RefusedError as error:
        if '"ps"' not in str(error):
            raise
        raise EngineError(f"{error}; the engine runs its machine's `ps` for that: install procps there") from error


def _asked(session: Session, container: str, columns: str | None, doing: str) -> Mapping[str, Any]:
    try:
        return session.api.top(container, ps_args=columns)
    except ValueError as error:
        raise EngineError(
            f"{doing}: the engine's answer is empty. Podman 4 runs `ps` in the container for that: take Podman 5, or "
            "an image that has it (procps)"
        ) from error
