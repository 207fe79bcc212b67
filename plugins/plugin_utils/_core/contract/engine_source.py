# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opens the containers of a test session that uses the engine directly, from the options of pytest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..engine.engine import Engine, connect
from .session_containers import SessionContainers


def open_containers(config: pytest.Config, online: Callable[[], bool]) -> SessionContainers:
    """Open the containers of a session.

    Args:
        config: The configuration of pytest.
        online: Tells whether the current test may reach outside networks.

    Raises:
        EngineError: No engine answers.
        NotFoundError: The engine does not have the image.
    """
    option = config.option
    return _Connected(
        connect(),
        option.image,
        tier=option.tier,
        neighbours=dict(_neighbour(value) for value in option.neighbour),
        run=option.tier_run,
        online=online,
    )


class _Connected(SessionContainers):
    """Containers with a connection of their own."""

    _engine: Engine

    def close(self) -> None:
        """Remove all containers, and close the connection."""
        try:
            super().close()
        finally:
            self._engine.close()


def _neighbour(value: str) -> tuple[str, str]:
    """Parse an option. Its image is empty for a neighbour for which the gate has no image."""
    name, _, reference = value.partition("=")
    if not name or "=" not in value:
        pytest.fail(f"--neighbour is {value!r}; expected NAME=IMAGE", pytrace=False)
    return name, reference
