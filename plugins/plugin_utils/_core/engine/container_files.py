# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading files of containers and images through the engine. They need not run.

A container is paused while it is read, so that nothing in it changes. Pausing takes a tenth of the time that killing
takes. After the first read, a background thread kills the container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress

from ..errors import EngineError
from .api_errors import MissingError, translate_errors
from .containers import Containers
from .image_ids import ImageNames
from .inspection import ContainerInfo, FileInfo, read_file
from .session import EngineSession

#: Makes the context manager in which the container is read once.
Reading = Callable[[], AbstractContextManager[None]]


@contextmanager
def freeze_for_reading(containers: Containers, container: str) -> Iterator[Reading]:
    """Pause a container, so that it can be read while nothing in it changes, and kill it later.

    Args:
        containers: Containers of the engine.
        container: ID of the container. It may have ended.

    Yields:
        A function that makes a context manager for each read. After the first read, a thread begins to kill the
        container. It has ended at the end of the ``with`` statement, even after an error.

    Raises:
        EngineError: The engine rejected a request.
    """
    if not containers.pause(container):
        containers.end(container)
    with ThreadPoolExecutor(1) as background:
        ending: list[Future[None]] = []

        @contextmanager
        def reading() -> Iterator[None]:
            for future in ending:
                future.result()  # processes may run briefly while it is killed
            yield
            if not ending:
                ending.append(background.submit(containers.end, container))

        try:
            yield reading
        except BaseException:
            with suppress(EngineError):  # the first error is more useful
                _end(containers, container, ending)
            raise
        _end(containers, container, ending)


def _end(containers: Containers, container: str, ending: list[Future[None]]) -> None:
    if ending:
        ending[0].result()
    else:
        containers.end(container)


class ContainerFiles:
    """Files in the containers and images of one engine."""

    def __init__(self, session: EngineSession, containers: Containers, image_names: ImageNames) -> None:
        """Use this session, these containers and these image names.

        To read an image, a container is created from it and never started.
        """
        self._session, self._containers, self._image_names = session, containers, image_names

    def info(self, container: str, path: str) -> FileInfo | None:
        """Inspect a file in a container; ``None`` if nothing exists at ``path``.

        Raises:
            EngineError: The engine rejected the request.
        """
        try:
            with translate_errors(f"looking at {path} in container {container}"):
                chunks, info = self._session.api.get_archive(container, path)
                with closing(chunks):
                    return read_file(info)
        except MissingError:
            return None

    @contextmanager
    def of_image(self, image: str, path: str) -> Iterator[Iterator[bytes] | None]:
        """Read a file or folder of an image.

        Args:
            image: ID of the image.
            path: Path in the image.

        Yields:
            A tar archive with the file or folder, in chunks; ``None`` if nothing exists at ``path``.

        Raises:
            EngineError: The engine rejected a request.
        """
        action = f"looking into image {image}"
        with translate_errors(action), self._unstarted(image, {}) as container:
            try:
                with translate_errors(action):
                    chunks, _info = self._session.api.get_archive(container, path)
            except MissingError:
                yield None
            else:
                with closing(chunks):
                    yield chunks

    def holds(self, image: str, path: str) -> bool:
        """Say whether an image has a file or folder at ``path``.

        Raises:
            EngineError: The engine rejected a request.
        """
        with self.of_image(image, path) as archive:
            return archive is not None

    @contextmanager
    def exported(self, container: str) -> Iterator[Iterator[bytes]]:
        """Read all files of a container.

        Yields:
            A tar archive of its root folder, in chunks.

        Raises:
            EngineError: The engine rejected the request, or the archive breaks off.
        """
        with translate_errors(f"reading container {container}"):
            yield self._session.api.export(container)

    @contextmanager
    def started_from(self, container: ContainerInfo) -> Iterator[Iterator[bytes]]:
        """Read all files of the image that a container was started from.

        Yields:
            A tar archive of the root folder of the image, in chunks.

        Raises:
            EngineError: The engine rejected a request, or the archive breaks off.
        """
        # It has the labels of the container, so that the cleanup of its run finds it too.
        with (
            translate_errors(f"reading what container {container.id} was started from"),
            self._unstarted(container.image, container.labels) as unstarted,
        ):
            yield self._session.api.export(unstarted)

    def changed(self, container: str, action: str) -> list[str]:
        """List the paths that were added, changed or removed in a container since it was created.

        Args:
            container: Its ID.
            action: What this is done for, for error messages.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors(action):
            return [str(entry["Path"]) for entry in self._session.api.diff(container) or ()]

    @contextmanager
    def _unstarted(self, image: str, labels: Mapping[str, str]) -> Iterator[str]:
        """Create a container that never runs. It is removed at the end of the ``with`` statement."""
        engine_name = self._image_names.engine_name(image)
        container = str(self._session.api.create_container(engine_name, command=["-"], labels=dict(labels))["Id"])
        try:
            yield container
        finally:
            self._containers.remove(container)
