# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A container in which nothing moves any more, so that what it holds can be read.

It is paused, which takes an engine a tenth of the time that ending it takes. It is ended once it has been read, beside
whatever the engine does then with what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from http import HTTPStatus

import docker
import docker.errors

from ..errors import EngineError
from . import containers
from .client import translated

#: Makes what each reading of the container is done within.
Reading = Callable[[], AbstractContextManager[None]]


@contextmanager
def standstill(client: docker.DockerClient, container: str) -> Iterator[Reading]:
    """Let nothing in a container move, and end it.

    Args:
        client: The engine.
        container: ID of the container. It may have ended.

    Yields:
        What makes the context of each reading; when the first is over, the container begins to end. It has ended when
        the ``with`` statement has, whatever happened in it.

    Raises:
        EngineError: The engine refused.
    """
    if not _paused(client, container):
        containers.end(client, container)
    with ThreadPoolExecutor(1) as beside:
        ending: list[Future[None]] = []

        @contextmanager
        def reading() -> Iterator[None]:
            for each in ending:
                each.result()  # what is in it may move once more when it ends
            yield
            if not ending:
                ending.append(beside.submit(containers.end, client, container))

        try:
            yield reading
        except BaseException:
            with suppress(EngineError):  # what went wrong before says more
                _end(client, container, ending)
            raise
        _end(client, container, ending)


def _end(client: docker.DockerClient, container: str, ending: list[Future[None]]) -> None:
    if ending:
        ending[0].result()
    else:
        containers.end(client, container)


def _paused(client: docker.DockerClient, container: str) -> bool:
    """Pause a container; ``False`` where it has ended, or the engine cannot (without the freezer of cgroups)."""
    with translated(f"pausing container {container}"):
        try:
            client.api.pause(container)
        except docker.errors.NotFound:
            raise
        except docker.errors.APIError as error:
            if error.status_code not in {HTTPStatus.CONFLICT, HTTPStatus.INTERNAL_SERVER_ERROR}:
                raise
            return False
    return True
