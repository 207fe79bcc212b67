# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of containers, read at a standstill.

A container in which nothing moves any more, so that what it holds can be read.

It is paused, which takes an engine a tenth of the time that ending it takes. It is ended once it has been read, beside
whatever the engine does then with what was read.

What is in containers and images, read without asking anything in them: they need not run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress

from ..errors import EngineError
from .api_errors import MissingError, translated
from .containers import Containers
from .image_ids import Naming
from .inspection import ContainerInfo, FileInfo, read_file
from .session import EngineSession

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


class ContainerFiles:
    """The files of one engine's containers and images."""

    def __init__(self, session: EngineSession, containers: Containers, naming: Naming) -> None:
        """Take the way to the engine, its containers, and what it calls images.

        An image is looked into through a container that never runs.
        """
        self._session, self._containers, self._naming = session, containers, naming

    def info(self, container: str, path: str) -> FileInfo | None:
        """Look at something in a container; ``None`` where there is nothing at ``path``.

        Raises:
            EngineError: The engine refused.
        """
        try:
            with translated(f"looking at {path} in container {container}"):
                pieces, found = self._session.api.get_archive(container, path)
                with closing(pieces):
                    return read_file(found)
        except MissingError:
            return None

    @contextmanager
    def of_image(self, image: str, path: str) -> Iterator[Iterator[bytes] | None]:
        """Read something out of an image.

        Args:
            image: ID of the image.
            path: Where in it.

        Yields:
            A tar archive of it, in pieces; ``None`` where there is nothing at ``path``.

        Raises:
            EngineError: The engine refused.
        """
        doing = f"looking into image {image}"
        with translated(doing), self._unstarted(image, {}) as container:
            try:
                with translated(doing):
                    pieces, _stat = self._session.api.get_archive(container, path)
            except MissingError:
                yield None
            else:
                with closing(pieces):
                    yield pieces

    def holds(self, image: str, path: str) -> bool:
        """Say whether an image has something at ``path``.

        Raises:
            EngineError: The engine refused.
        """
        with self.of_image(image, path) as found:
            return found is not None

    @contextmanager
    def exported(self, container: str) -> Iterator[Iterator[bytes]]:
        """Read all that is in a container.

        Yields:
            A tar archive of its root, in pieces.

        Raises:
            EngineError: The engine refused, or what it gives breaks off.
        """
        with translated(f"reading container {container}"):
            yield self._session.api.export(container)

    @contextmanager
    def started_from(self, container: ContainerInfo) -> Iterator[Iterator[bytes]]:
        """Read all that a container was started from.

        Yields:
            A tar archive of its image's root, in pieces.

        Raises:
            EngineError: The engine refused, or what it gives breaks off.
        """
        # With the labels of the container, so that whoever clears up after its run finds this one as well.
        with (
            translated(f"reading what container {container.id} was started from"),
            self._unstarted(container.image, container.labels) as before,
        ):
            yield self._session.api.export(before)

    def changed(self, container: str, doing: str) -> list[str]:
        """List the paths that were made, changed or removed in a container since it was made.

        Args:
            container: Its ID.
            doing: Why, for the message.

        Raises:
            EngineError: The engine refused.
        """
        with translated(doing):
            return [str(each["Path"]) for each in self._session.api.diff(container) or ()]

    @contextmanager
    def _unstarted(self, image: str, labels: Mapping[str, str]) -> Iterator[str]:
        """Make a container that never runs; it is removed at the end of the ``with`` statement."""
        called = self._naming.theirs(image)
        made = str(self._session.api.create_container(called, command=["-"], labels=dict(labels))["Id"])
        try:
            yield made
        finally:
            self._containers.remove(made)
