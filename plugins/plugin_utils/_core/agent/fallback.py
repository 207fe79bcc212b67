# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What to do without an agent: run requests through the engine, and find out why an agent was lost.

Without an agent, requests are slower, and need only a shell in the container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..engine.engine import connect
from ..errors import TierwrightError
from .client import Request

#: Timeout of the engine in seconds. It is short because the user waits for the error message.
_SECONDS = 3


def explain_loss(container: str) -> str:
    """Return a sentence that says whether the engine, the container, or only the agent ended during a command."""
    try:
        reason = why_gone(container)
    except TierwrightError as error:
        return f"the engine stopped answering in the middle of a command: {error}"
    return reason or (
        f"the agent in build container {container} ended in the middle of a command, although the container runs: it "
        "was killed, or memory ran out; the next command starts a new agent"
    )


def why_gone(container: str) -> str:
    """Return a sentence that says why a container is not running any more; empty if it runs.

    Raises:
        EngineUnavailableError: The engine does not answer.
        EngineError: The engine rejected the request.
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
        request: The same request as for the agent.
        stdin: Standard input, in chunks.
        take: Called with 1 (standard output) or 2 (standard error) and the bytes, whenever bytes arrive.

    Returns:
        The exit status.

    Raises:
        ContainerGoneError: The container is not running, or ended before the command did.
        EngineError: The engine rejected the command.
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
