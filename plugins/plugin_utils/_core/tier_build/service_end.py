# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ends the services that a role started, before its layer is read.

They get SIGTERM, as from a service manager, and time to write their files. A database that is killed would leave files
in the layer that it must repair at each start of a container.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from ..agent.package import BOOT
from ..engine.containers import IDLE_COMMAND, IDLE_SCRIPT, ProcessInfo
from ..engine.engine import Engine
from ..errors import SealError
from .tasks import is_asynchronous

#: Seconds that the services of a role have to end.
SECONDS = 30.0
_LOOK_SECONDS = 0.1

#: The last line of the agent's program, which is in its command line.
_AGENT = BOOT.strip().splitlines()[-1]

_SIGNAL = 'kill -TERM "$@" 2>/dev/null; :'

_PROGRAM = re.compile(r"[^\s:]+")


def end_services(engine: Engine, tier: str, container: str, say: Callable[[str], None]) -> None:
    """End the processes that the role of a tier left running.

    Args:
        engine: The engine.
        tier: Name of the tier.
        container: ID of its build container, which runs.
        say: Called with a line that names the ended programs.

    Raises:
        SealError: A process has not ended in time.
        EngineError: The engine does not answer.
    """
    if not any(map(_is_of_role, engine.containers.commands(container))):
        return
    running = _of_role(engine.containers.processes_inside(container))
    names, deadline = programs(running), time.monotonic() + SECONDS
    signalled: set[int] = set()
    while running:
        if time.monotonic() > deadline:
            raise SealError(
                f"tier {tier!r}: its role left processes running that do not end {SECONDS:.0f} s after SIGTERM: "
                f"{', '.join(programs(running))}. The layer would contain their unfinished files. Stop them in the role"
            )
        new = [process for process in running if process.pid not in signalled]
        _terminate(engine, container, new)
        signalled.update(process.pid for process in new)
        time.sleep(_LOOK_SECONDS)
        running = _of_role(engine.containers.processes_inside(container))
    if names:
        say(f"ended before the layer was read, as the role left them running: {', '.join(names)}")


def programs(processes: Iterable[ProcessInfo]) -> list[str]:
    """Name the programs of processes, each once, sorted."""
    names = {match[0].rpartition("/")[2] for process in processes if (match := _PROGRAM.search(process.command))}
    return sorted(names)


def _of_role(processes: Iterable[ProcessInfo]) -> list[ProcessInfo]:
    return [process for process in processes if process.pid != 1 and _is_of_role(process.command)]


def _is_of_role(command: str) -> bool:
    """Check whether a command line belongs to the role, and neither to the build container nor to a zombie."""
    own = (IDLE_SCRIPT, _AGENT)
    if not command or command == IDLE_COMMAND or command.endswith("<defunct>"):
        return False
    return not is_asynchronous(command) and not any(text in command for text in own)


def _terminate(engine: Engine, container: str, processes: Iterable[ProcessInfo]) -> None:
    """Send SIGTERM to processes, each as its own user: root has no right to do it (``CAP_KILL``)."""
    by_user: dict[int, list[str]] = defaultdict(list)
    for process in processes:
        by_user[process.user].append(str(process.pid))
    for user, pids in by_user.items():
        command = ["/bin/sh", "-c", _SIGNAL, "sh", *pids]
        engine.exec.run(container, command, take=lambda _stream, _data: None, user=f"{user}:{user}")
