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

from ..errors import EngineError
from .containers import Containers

#: Makes what each reading of the container is done within.
Reading = Callable[[], AbstractContextManager[None]]


@contextmanager
def standstill(containers: Containers, container: str) -> Iterator[Reading]:
    """Let nothing in a container move, and end it.

    Args:
        containers: Those of the engine.
        container: ID of the container. It may have ended.

    Yields:
        What makes the context of each reading; when the first is over, the container begins to end. It has ended when
        the ``with`` statement has, whatever happened in it.

    Raises:
        EngineError: The engine refused.
    """
    if not containers.pause(container):
        containers.end(container)
    with ThreadPoolExecutor(1) as beside:
        ending: list[Future[None]] = []

        @contextmanager
        def reading() -> Iterator[None]:
            for each in ending:
                each.result()  # what is in it may move once more when it ends
            yield
            if not ending:
                ending.append(beside.submit(containers.end, container))

        try:
            yield reading
        except BaseException:
            with suppress(EngineError):  # what went wrong before says more
                _end(containers, container, ending)
            raise
        _end(containers, container, ending)


def _end(containers: Containers, container: str, ending: list[Future[None]]) -> None:
    if ending:
        ending[0].result()
    else:
        containers.end(container)
