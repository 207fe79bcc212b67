# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks an engine about a container, although its process may end at the same moment."""

from __future__ import annotations

from typing import Any

from .api_errors import RefusedError, translate_errors
from .api_requests import in_path
from .session import EngineSession

#: Podman reads ``/proc/<pid>/cgroup`` of a process that may have just ended, and answers with this error. The container
#: has ended a moment later.
_ENDING = "no such process"
_ATTEMPTS = 3


def inspect_container(session: EngineSession, container: str) -> dict[str, Any]:
    """Return the response to ``GET /containers/{id}/json``.

    Args:
        session: The session of the engine.
        container: Its name or ID.

    Raises:
        EngineError: The container does not exist, or the engine does not answer.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with translate_errors(f"looking at container {container}"):
                info: dict[str, Any] = session.get(f"/containers/{in_path(container)}/json")
                return info
        except RefusedError as error:
            if _ENDING not in str(error) or attempt == _ATTEMPTS:
                raise
    raise AssertionError
