# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests without an agent, and why one is gone.

Saying what died when the agent went away in the middle of a command.

The same requests where no agent can run, through the engine: slower, and needing nothing but a shell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..engine.engine import connect
from ..errors import TierwrightError
from .client import Request

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


def run(container: str, request: Request, *, stdin: Iterable[bytes], take: Callable[[int, bytes], None]) -> int:
    """Run one command.

    Args:
        container: Name or ID of the running build container.
        request: As for the agent.
        stdin: What the command reads, in pieces.
        take: Called with 1 (standard output) or 2 (standard error) and the bytes, as they come.

    Returns:
        The exit status.

    Raises:
        ContainerGoneError: The container is not running, or ended before the command did.
        EngineError: The engine refused the command.
    """
    engine = connect()
    try:
        return engine.exec.run(container, _arguments(request), stdin=stdin, take=take, user=request["user"])
    finally:
        engine.close()


def _arguments(request: Request) -> list[str]:
    match request["do"]:
        case "put":
            return ["/bin/sh", "-c", 'cat > "$1"', "sh", request["path"]]
        case "fetch":
            return ["cat", "--", request["path"]]
        case _:
            return list(request["argv"])
