# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# ruff: noqa: PLC0415 - each kind of object is imported when it is first used
"""The entry point to a container engine. All other packages use it through :class:`Engine`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from .docker_config import engine_address
from .image_ids import ImageNames
from .session import EngineSession, load_sdk
from .system import EngineKind, System

if TYPE_CHECKING:
    from .attached import Attached
    from .container_files import ContainerFiles
    from .containers import Containers
    from .events import Events
    from .exec import Exec
    from .image_catalogue import Catalogue
    from .images import Images
    from .networks_and_volumes import Networks, Volumes
    from .services import Services
    from .swarm import Swarm

#: Timeout of one request, in seconds. Unpacking a large layer is one request.
ANSWER_TIMEOUT = 600


class Engine:
    """One container engine, with one attribute for each kind of object. Threads may share it.

    The code for a kind is imported when it is first used: all of it takes longer than many commands.
    """

    def __init__(self, session: EngineSession) -> None:
        """Prepare; no request is sent yet. Use :func:`connect` or :func:`lazy_engine` to make one."""
        self._session = session
        #: The engine itself: its version, its machine, and its limits.
        self.system = System(session)
        self._image_names = ImageNames(session, self.system.kind)

    @cached_property
    def images(self) -> Images:
        """Images: to find, to load and to remove them."""
        from .images import Images

        return Images(self._session, self.system.kind, self._image_names)

    @cached_property
    def catalogue(self) -> Catalogue:
        """Read-only access to everything that the engine stores."""
        from .image_catalogue import Catalogue

        return Catalogue(self._session, self._image_names)

    @cached_property
    def containers(self) -> Containers:
        """Containers of every kind. Build containers are started here."""
        from .containers import Containers

        return Containers(self._session, self._image_names)

    @cached_property
    def files(self) -> ContainerFiles:
        """Files in containers and images."""
        from .container_files import ContainerFiles

        return ContainerFiles(self._session, self.containers, self._image_names)

    @cached_property
    def services(self) -> Services:
        """Containers that are started in the way a user starts them."""
        from .services import Services

        return Services(self._session, self.containers, self._image_names)

    @cached_property
    def volumes(self) -> Volumes:
        """Volumes."""
        from .networks_and_volumes import Volumes

        return Volumes(self._session)

    @cached_property
    def networks(self) -> Networks:
        """Networks."""
        from .networks_and_volumes import Networks

        return Networks(self._session)

    @cached_property
    def swarm(self) -> Swarm:
        """Services, secrets and networks of a swarm."""
        from .swarm import Swarm

        return Swarm(self._session)

    @cached_property
    def events(self) -> Events:
        """What happens on the engine."""
        from .events import Events

        return Events(self._session)

    @cached_property
    def exec(self) -> Exec:
        """Commands in containers."""
        from .exec import Exec

        return Exec(self._session)

    @cached_property
    def attached(self) -> Attached:
        """Commands in containers with the input and output of this process."""
        from .attached import Attached

        return Attached(self._session, self.exec)

    @property
    def address(self) -> str:
        """Address of the engine, in the format of ``DOCKER_HOST``."""
        return self._session.address

    @property
    def kind(self) -> EngineKind:
        """How this engine differs from other engines.

        Raises:
            EngineError: The engine does not answer.
        """
        return self.system.kind()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def lazy_engine(timeout: int = ANSWER_TIMEOUT) -> Engine:
    """Return the engine at :func:`.docker_config.engine_address`, without connecting to it.

    Args:
        timeout: Timeout of one request, in seconds.
    """
    return Engine(EngineSession(engine_address(), timeout))


def connect(timeout: int = ANSWER_TIMEOUT) -> Engine:
    """Connect to the engine at :func:`.docker_config.engine_address`.

    Args:
        timeout: Timeout of one request, in seconds.

    Raises:
        EngineUnavailableError: No engine answers, or it is older than Docker 20.10.
    """
    session = EngineSession(engine_address(), timeout)
    session.open()
    return Engine(session)


def import_ahead() -> None:
    """Import what builds need. Processes that are forked later need not import it again."""
    from . import container_files, exec, images, networks_and_volumes, services  # noqa: A004, F401

    load_sdk()
