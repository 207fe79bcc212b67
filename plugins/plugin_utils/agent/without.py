# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same requests where no agent can run, through the engine: slower, and needing nothing but a shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..engine.engine import connect
from .command import Request


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
