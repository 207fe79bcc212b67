# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Removes the containers and networks of a killed test session.

A test session starts this module as a separate process, and holds the other end of its standard input. This end closes
when the session ends, in whatever way. A session that has removed its own objects sends :data:`_DONE` before. Without
it, this process removes them.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..engine.engine import Engine, connect

#: The message of a session that has removed its own objects.
_DONE = b"done"

#: Number of containers that are removed in parallel.
_PARALLEL = 4

#: Program that runs a module of this copy of the library. The collection's folder need not be on sys.path.
RUN_MODULE = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def clear(engine: Engine, label: str) -> int:
    """Remove all containers and networks with a label.

    Args:
        engine: The engine.
        label: ``key=value``.

    Returns:
        The number of removed containers.

    Raises:
        EngineError: The engine rejected a request.
    """
    images = engine.images.labelled(label)  # images that a user committed from such a container
    containers = [container for container, _labels in engine.containers.find(label, except_images=images)]
    with ThreadPoolExecutor(_PARALLEL) as pool:  # an engine needs a second or more for each
        list(pool.map(engine.containers.remove, containers))
    for network, _labels in engine.networks.find(label):
        engine.networks.remove(network)
    return len(containers)


class Watcher:
    """The process that removes the objects of a test session that was killed."""

    def __init__(self, label: str) -> None:
        """Start the process. ``label`` is the label of the session's containers and networks."""
        library = Path(__file__).parents[1]
        module = f"{library.name}.{Path(__file__).parent.name}.{Path(__file__).stem}"
        # It has a session of its own, so that it survives if the process group of the tests is killed.
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUN_MODULE, str(library.parent), module, label],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """End the process: the session has removed its own objects."""
        self._process.communicate(_DONE)


def _watch(label: str) -> None:
    if sys.stdin.buffer.read() != _DONE:
        clear(connect(), label)


if __name__ == "__main__":
    _watch(sys.argv[1])
