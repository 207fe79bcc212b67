# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connecting to the agent of a build container. The first task that needs the agent starts it.

Each build container has a private folder on the controller, with one socket for each ansible-playbook. The path of the
folder is computed from the container's name, so every task finds it, although each task is a separate process. If the
engine is on this machine, the folder is mounted in the build container.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import select
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from ..errors import EngineError
from ..local_files import lock

#: Path of the folder in a build container. /dev is a tmpfs of the container, so the mount point does not become part of
#: the layer (measured: ``docker diff`` stays empty).
INSIDE = "/dev/tierwright-agent"

#: Maximum length of the path of a socket (``sun_path``, unix(7)), without the terminating null byte.
_MAX_PATH = 107


def agent_folder(address: str, container: str) -> Path:
    """Return the folder for a container. It need not exist.

    Args:
        address: Address of the engine.
        container: The container, as the variable ``tier_container`` names it.
    """
    return _runtime_folder() / hashlib.sha256(f"{address}\0{container}".encode()).hexdigest()[:16]


def make_agent_folder(address: str, container: str) -> Path:
    """Create the folder for a container, readable only for this user. It may exist already.

    Raises:
        EngineError: It cannot be created, or it exists and does not belong to this user alone.
    """
    folder = agent_folder(address, container)
    for path in (folder.parent, folder):
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            pass  # it is not a folder: _check_private reports this
        except OSError as error:
            raise EngineError(f"making {path}: {error.strerror}; set XDG_RUNTIME_DIR to a folder of your own") from None
        _check_private(path)
    return folder


def remove_agent_folder(address: str, container: str) -> None:
    """Remove the folder of a container that does not exist any more. The folder need not exist."""
    shutil.rmtree(agent_folder(address, container), ignore_errors=True)
    agent_lock(address, container).unlink(missing_ok=True)


def agent_lock(address: str, container: str) -> Path:
    """Return the lock file for tasks that start an agent. It is not in the folder, so the container cannot lock it."""
    return agent_folder(address, container).with_suffix(".lock")


def socket_name(owner: int) -> str:
    """Return the name of the socket for the tasks of one ansible-playbook.

    Args:
        owner: Process ID of the ansible-playbook.
    """
    return f"{owner}.sock"


def agent_mount(address: str, container: str) -> list[dict[str, Any]]:
    """Return the mount of the folder for a container, in the format of the Engine API.

    The list is empty if the engine is not on this machine, because the folder does not exist there.
    """
    if not address.startswith("unix://"):
        return []
    return [{"Type": "bind", "Source": str(make_agent_folder(address, container)), "Target": INSIDE, "ReadOnly": True}]


def _runtime_folder() -> Path:
    configured = os.environ.get("XDG_RUNTIME_DIR")
    candidates = [Path(configured, "tierwright")] if configured and Path(configured).is_dir() else []
    candidates += [Path(base, f"tierwright-{os.getuid()}") for base in (tempfile.gettempdir(), "/tmp")]  # noqa: S108
    rest = len("/0123456789abcdef/4194304.sock")
    return next((path for path in candidates if len(os.fsencode(path)) + rest <= _MAX_PATH), candidates[-1])


def _check_private(path: Path) -> None:
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise EngineError(
            f"{path} is not a folder that only user {os.getuid()} may read (owner {info.st_uid}, mode "
            f"{stat.filemode(info.st_mode)}); a different user or program made it: remove it, or set XDG_RUNTIME_DIR"
        )


#: Timeout of a keeper in seconds; it gives the agent 60 s to start. Other tasks wait a bit longer for the lock.
_KEEPER_SECONDS = 120
LOCK_SECONDS = 150

#: Python program that runs the keeper from the folder of this library. That folder need not be on sys.path.
_RUN_KEEPER = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


class NoAgentError(Exception):
    """The build container cannot run an agent. Commands can be run through the engine."""


def attach(address: str, container: str, python: str, note: Callable[[str], None]) -> socket.socket:
    """Connect to the agent of the current ansible-playbook. Start the agent if it does not run.

    Args:
        address: Address of the engine.
        container: Name or ID of the running build container.
        python: Path of an interpreter in it.
        note: Called with a log line if the agent was started.

    Raises:
        NoAgentError: The interpreter does not exist.
        EngineError: The container is not running, the engine does not answer, or the agent did not start.
        RunError: A different task held the lock for starting the agent until the timeout.
    """
    owner = playbook_process()
    path = agent_folder(address, container) / socket_name(owner)
    sock = _connect(path)
    if sock is not None:
        return sock
    make_agent_folder(address, container)
    with agent_lock(address, container).open("wb") as file:
        lock(file, LOCK_SECONDS)
        sock = _connect(path)  # a different task may have started it meanwhile
        if sock is not None:
            return sock
        note(f"started the agent; it is reached through {_start_keeper(container, owner, python)}")
    sock = _connect(path)
    if sock is None:
        raise EngineError(f"the agent in build container {container} ended right after it started")
    return sock


@contextmanager
def agent_ahead(address: str, container: str, python: str) -> Iterator[None]:
    """Start the agent of a build container as soon as the container runs. The block starts the container.

    The keeper loads its code while the engine starts the container, and locks the agent. So a task that needs the agent
    waits until it runs. An error is not reported: that task starts the agent again, and gets the same error.

    Args:
        address: Address of the engine.
        container: Name of the build container. It need not exist yet.
        python: Path of an interpreter in it.

    Raises:
        EngineError: The folder for the container cannot be created.
    """
    make_agent_folder(address, container)
    command = [*_keeper_command(container, playbook_process(), python), str(agent_lock(address, container))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as keeper:
        yield
        said, tell = cast(IO[bytes], keeper.stdout), cast(IO[bytes], keeper.stdin)
        if select.select([said], [], [], _KEEPER_SECONDS)[0] and said.read(1):  # it holds the lock
            with contextlib.suppress(BrokenPipeError):
                tell.write(b"\0")


def playbook_process() -> int:
    """Return the process ID of the ansible-playbook: this process, or the parent of this worker process."""
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


def _keeper_command(container: str, owner: int, python: str) -> list[str]:
    library = Path(__file__).parents[1]
    module = f"{library.name}.{Path(__file__).parent.name}.keeper"
    return [sys.executable, "-c", _RUN_KEEPER, str(library.parent), module, container, str(owner), python]


def _start_keeper(container: str, owner: int, python: str) -> str:
    try:
        keeper = subprocess.run(
            _keeper_command(container, owner, python),
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
        answer = json.loads(keeper.stdout)
    except ValueError:
        output = keeper.stderr.decode(errors="replace").strip()
        raise EngineError(f"the keeper of build container {container} did not start: {output[-500:]}") from None
    if "error" not in answer:
        return str(answer["mode"])
    raise (NoAgentError if answer["kind"] == "no interpreter" else EngineError)(answer["error"])
