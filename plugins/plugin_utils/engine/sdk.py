# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same as :class:`.wire.Engine` through the SDK, for engines that only it can reach: over ssh, and behind TLS."""

from __future__ import annotations

from contextlib import AbstractContextManager

from . import exec as execution
from .client import connect, translated
from .stream import Started


class SdkEngine:
    """The engine that DOCKER_HOST names."""

    def __init__(self) -> None:
        """Connect.

        Raises:
            EngineUnavailableError: No engine answers.
        """
        self._client = connect()

    def user_of(self, container: str) -> str:
        """The user that a container's commands run as unless they say otherwise; empty for root.

        Raises:
            EngineError: There is no such container.
        """
        with translated(f"looking at build container {container}"):
            return str(self._client.api.inspect_container(container)["Config"].get("User") or "")

    def started(self, container: str, argv: list[str], user: str) -> AbstractContextManager[Started]:
        """Start a command; see :func:`.exec.started`."""
        return execution.started(self._client, container, argv, user)
