# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The entry point to a container engine. All other packages use it through :class:`Engine`."""

from __future__ import annotations

from .attached import Attached
from .container_files import ContainerFiles
from .containers import Containers
from .docker_config import engine_address
from .events import Events
from .exec import Exec
from .image_catalogue import Catalogue
from .image_ids import ImageNames
from .images import Images
from .networks_and_volumes import Networks, Volumes
from .services import Services
from .session import EngineSession, load_sdk
from .swarm import Swarm
from .system import EngineKind, System

#: Timeout of one request, in seconds. Unpacking a large layer is one request.
ANSWER_TIMEOUT = 600


class Engine:
    """One container engine, with one attribute for each kind of object. Threads may share it."""

    def __init__(self, session: EngineSession) -> None:
        """Prepare; no request is sent yet. Use :func:`connect` or :func:`lazy_engine` to make one."""
        self._session = session
        #: The engine itself: its version, its machine, and its limits.
        self.system = System(session)
        image_names = ImageNames(session, self.system.kind)
        self.images = Images(session, self.system.kind, image_names)
        #: Read-only access to everything that the engine stores.
        self.catalogue = Catalogue(session, image_names)
        #: Containers of every kind. Build containers are started here.
        self.containers = Containers(session, image_names)
        #: Files in containers and images.
        self.files = ContainerFiles(session, self.containers, image_names)
        #: Containers that are started in the way a user starts them.
        self.services = Services(session, self.containers, image_names)
        self.volumes = Volumes(session)
        self.networks = Networks(session)
        self.swarm = Swarm(session)
        self.events = Events(session)
        #: Commands in containers.
        self.exec = Exec(session)
        #: Commands in containers with the input and output of this process.
        self.attached = Attached(session, self.exec)

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
    """Import what connecting needs. Processes that are forked later need not import it again."""
    load_sdk()
