# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reaching the agent of a build container, which is started by whoever needs it first."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ..errors import EngineError
from ..lock import lock
from . import place

#: Seconds that a keeper may take to answer; it gives the agent 60 s to start. Another task waits for a bit longer.
_KEEPER_SECONDS = 120
_LOCK_SECONDS = 150

#: Runs the keeper out of this very library, wherever that lies: a collection's folder need not be on sys.path.
_RUN_KEEPER = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


class NoAgentError(Exception):
    """The build container cannot run an agent; commands can be run through the engine."""


def attach(address: str, container: str, python: str, note: Callable[[str], None]) -> socket.socket:
    """Connect to the agent for this process's ansible-playbook, and start one if there is none.

    Args:
        address: Address of the engine.
        container: Name or ID of the running build container.
        python: Path of an interpreter in it.
        note: Called with a line for the log if an agent was started.

    Raises:
        NoAgentError: There is no such interpreter.
        EngineError: The container does not run, the engine does not answer, or the agent did not start.
        RunError: Another task has been starting it for minutes.
    """
    owner = playbook_process()
    path = place.folder(address, container) / place.socket_name(owner)
    found = _connect(path)
    if found is not None:
        return found
    place.make(address, container)
    with place.lock(address, container).open("wb") as file:
        lock(file, _LOCK_SECONDS)
        found = _connect(path)  # a sibling task may have started it meanwhile
        if found is not None:
            return found
        note(f"started the agent; it is reached through {_start(container, owner, python)}")
    found = _connect(path)
    if found is None:
        raise EngineError(f"the agent in build container {container} ended right after it started")
    return found


def playbook_process() -> int:
    """Process ID of the ansible-playbook that this process is, or is a worker of."""
    parent = multiprocessing.parent_process()
    return os.getpid() if parent is None or parent.pid is None else parent.pid


def _connect(path: Path) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(str(path))
    except OSError:
        sock.close()
        return None
    return sock


def _start(container: str, owner: int, python: str) -> str:
    library = Path(__file__).parents[1]
    module = f"{library.name}.{Path(__file__).parent.name}.keeper"
    try:
        done = subprocess.run(
            [sys.executable, "-c", _RUN_KEEPER, str(library.parent), module, container, str(owner), python],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_KEEPER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise EngineError(
            f"the keeper of build container {container} did not answer within {_KEEPER_SECONDS} s: it is stopped, or "
            "the engine does not answer"
        ) from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        told = done.stderr.decode(errors="replace").strip()
        raise EngineError(f"the keeper of build container {container} did not start: {told[-500:]}") from None
    if "error" not in answer:
        return str(answer["mode"])
    raise (NoAgentError if answer["kind"] == "no interpreter" else EngineError)(answer["error"])
