# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs in a container, listed from outside, whatever programs its image has."""

from __future__ import annotations

from typing import Any

from ..errors import EngineError
from .session import Session


def rows(session: Session, container: str, columns: str | None = None) -> list[list[Any]]:
    """List the processes of a container that runs.

    Args:
        session: The way to the engine.
        container: The container.
        columns: Options of ``ps``; ``None`` for the engine's own choice.

    Raises:
        EngineError: The engine lists none: Podman 4 runs ``ps`` in the container, and answers nothing without it.
    """
    try:
        found = session.api.top(container, ps_args=columns)
    except ValueError as error:
        raise EngineError(
            f"listing the processes of container {container}: the engine's answer is empty. Podman 4 runs `ps` in the "
            "container for that: take Podman 5, or an image that has it (procps)"
        ) from error
    titles, processes = found["Titles"], list(found["Processes"] or ())
    if len(titles) > 1:
        return processes
    # Podman 4 gives out whole lines of what `ps` wrote in the container.
    return [line.split(None, len(titles[0].split()) - 1) for (line,) in processes]
