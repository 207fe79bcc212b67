# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where controller and agent meet, and the agent's start.

Where controller and agent meet: a private folder for each build container, a socket in it for each ansible-playbook.

The folder is known from the container's name alone, so that a task, which is a process of its own, finds it without
asking anybody. A build container on this machine has it mounted.

Reaching the agent of a build container, which is started by whoever needs it first.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..local_files import lock

#: Where the folder is in a build container. A mount below /dev, the container's own tmpfs, leaves nothing in the layer
#: (measured: ``docker diff`` stays empty).
INSIDE = "/dev/tierwright-agent"

#: Longest path of a socket (``sun_path``, unix(7)), less one for its end.
_LONGEST = 107


def agent_folder(address: str, container: str) -> Path:
    """The folder for a container; it need not exist.

    Args:
        address: Address of the engine.
        container: The container as the connection's variable ``tier_container`` names it.
    """
    return _runtime() / hashlib.sha256(f"{address}\0{container}".encode()).hexdigest()[:16]


def make_agent_folder(address: str, container: str) -> Path:
    """Make the folder for a container, readable for this user only; it may exist.

    Raises:
        EngineError: Somebody else has made a folder of that name, or it cannot be made.
    """
    made = agent_folder(address, container)
    for each in (made.parent, made):
        try:
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            pass  # no folder, which is told below
        except OSError as error:
            raise EngineError(f"making {each}: {error.strerror}; set XDG_RUNTIME_DIR to a folder of your own") from None
        _check(each)
    return made


def remove_agent_folder(address: str, container: str) -> None:
    """Remove the folder of a container that is gone; it may not exist."""
    shutil.rmtree(agent_folder(address, container), ignore_errors=True)
    agent_lock(address, container).unlink(missing_ok=True)


def agent_lock(address: str, container: str) -> Path:
    """What tasks lock that start an agent: beside the folder, where the container's processes cannot lock it."""
    return agent_folder(address, container).with_suffix(".lock")


def socket_name(owner: int) -> str:
    """Name of the socket for the tasks of one ansible-playbook.

    Args:
        owner: Its process ID.
    """
    return f"{owner}.sock"


def agent_mount(address: str, container: str) -> list[dict[str, Any]]:
    """The mount that brings the folder into a container, as the Engine API writes it.

    Empty where the engine is another machine's: it has no such folder.
    """
    if not address.startswith("unix://"):
        return []
    return [{"Type": "bind", "Source": str(make_agent_folder(address, container)), "Target": INSIDE, "ReadOnly": True}]


def _runtime() -> Path:
    given = os.environ.get("XDG_RUNTIME_DIR")
    candidates = [Path(given, "tierwright")] if given and Path(given).is_dir() else []
    candidates += [Path(each, f"tierwright-{os.getuid()}") for each in (tempfile.gettempdir(), "/tmp")]  # noqa: S108
    room = len("/0123456789abcdef/4194304.sock")
    return next((each for each in candidates if len(os.fsencode(each)) + room <= _LONGEST), candidates[-1])


def _check(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EngineError(
            f"{path} is not a folder that only user {os.getuid()} may read (owner {found.st_uid}, mode "
            f"{stat.filemode(found.st_mode)}); somebody else made it: remove it, or set XDG_RUNTIME_DIR"
        )


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
    path = agent_folder(address, container) / socket_name(owner)
    found = _connect(path)
    if found is not None:
        return found
    make_agent_folder(address, container)
    with agent_lock(address, container).open("wb") as file:
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
