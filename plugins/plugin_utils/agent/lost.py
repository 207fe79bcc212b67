# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Saying what died when the agent went away in the middle of a command."""

from __future__ import annotations

from ..engine.engine import connect
from ..errors import TierwrightError

#: Seconds that the engine may take to answer: somebody waits to be told.
_SECONDS = 3


def what_died(container: str) -> str:
    """Say in a sentence whether it was the engine, the container, or the agent alone."""
    try:
        gone = why_gone(container)
    except TierwrightError as error:
        return f"the engine went away in the middle of a command: {error}"
    return gone or (
        f"the agent in build container {container} ended in the middle of a command, though the container runs: "
        "somebody killed it, or memory ran out; the next command starts another"
    )


def why_gone(container: str) -> str:
    """Say what became of a container that does not run any more; empty if it runs.

    Raises:
        EngineUnavailableError: The engine does not answer.
        EngineError: The engine refused.
    """
    engine = connect(_SECONDS)
    try:
        return engine.exec.why_gone(container) if engine.exec.ends(container) else ""
    finally:
        engine.close()
