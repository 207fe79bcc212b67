# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Removes what a killed session left; ends with the parent process.

Lets tests end with the process that started them, also where that one was killed.

Removing what a session of tests started, also after it was killed.

A session starts this module as a process of its own and keeps the other end of its standard input. However the session
ends, that end closes: a session that cleared up itself says so before, after any other its containers and networks are
removed here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..engine.engine import Engine, connect

_POLL_SECONDS = 1.0


def end_with(parent_pid: int) -> None:
    """Interrupt this process, as Ctrl-C does, once it has another parent than ``parent_pid``."""
    threading.Thread(target=_watch_parent, args=(parent_pid,), daemon=True).start()


def _watch_parent(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGINT)


_DONE = b"done"
_AT_ONCE = 4

#: Runs this very library, wherever it lies: a collection's folder need not be on sys.path.
_RUN = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def clear(engine: Engine, label: str) -> int:
    """Remove all containers and networks that carry a label.

    Args:
        engine: The engine.
        label: ``key=value``.

    Returns:
        How many containers there were.

    Raises:
        EngineError: The engine refused.
    """
    theirs = engine.images.labelled(label)  # somebody's, made of such a container
    left = [container for container, _labels in engine.containers.find(label, but_of=theirs)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # an engine takes a second for each and more
        list(pool.map(engine.containers.remove, left))
    for network, _labels in engine.networks.find(label):
        engine.networks.remove(network)
    return len(left)


class Watcher:
    """The process that clears up after a session that cannot do it any more."""

    def __init__(self, label: str) -> None:
        """Start it; ``label`` is what the session's containers and networks carry."""
        library = Path(__file__).parents[1]
        module = f"{library.name}.{Path(__file__).parent.name}.{Path(__file__).stem}"
        # In a session of its own: what kills the tests with their process group must not reach it.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(library.parent), module, label],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Let it end: nothing is left."""
        self._process.communicate(_DONE)


def _watch(label: str) -> None:
    if sys.stdin.buffer.read() != _DONE:
        clear(connect(), label)


if __name__ == "__main__":
    _watch(sys.argv[1])
