# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one door to a container engine: everything outside this room asks an :class:`Engine`."""

from __future__ import annotations

from .container_files import ContainerFiles
from .containers import Containers
from .docker_config import engine_address
from .exec import Exec
from .image_catalogue import Catalogue
from .image_ids import Naming
from .images import Images
from .networks_and_volumes import Networks, Volumes
from .services import Services
from .session import EngineSession
from .system import EngineKind, System

#: Seconds that one answer may take; unpacking a large layer is one answer.
ANSWER_TIMEOUT = 600


class Engine:
    """One container engine, by what can be asked of it; threads may share it."""

    def __init__(self, session: EngineSession) -> None:
        """Take the way to the engine; nothing is asked yet. See :func:`connect` and :func:`unopened`."""
        self._session = session
        #: The engine itself: its version, its machine, and what it cannot do there.
        self.system = System(session)
        naming = Naming(session, self.system.kind)
        self.images = Images(session, self.system.kind, naming)
        #: All that it holds, to be looked at.
        self.catalogue = Catalogue(session, naming)
        #: Containers, whatever they are for; build containers are started here.
        self.containers = Containers(session, naming)
        #: What is in containers and images.
        self.files = ContainerFiles(session, self.containers, naming)
        #: Containers that run as users run them.
        self.services = Services(session, self.containers, naming)
        self.volumes = Volumes(session)
        self.networks = Networks(session)
        #: Commands in containers.
        self.exec = Exec(session)

    @property
    def address(self) -> str:
        """Where it is, as in ``DOCKER_HOST``."""
        return self._session.address

    @property
    def kind(self) -> EngineKind:
        """What it does otherwise than others.

        Raises:
            EngineError: The engine does not answer.
        """
        return self.system.kind()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def unopened(timeout: int = ANSWER_TIMEOUT) -> Engine:
    """Give the engine that DOCKER_HOST names, else the one behind the first local socket that exists, as yet unasked.

    Args:
        timeout: Seconds that one answer may take.
    """
    return Engine(EngineSession(engine_address(), timeout))


def connect(timeout: int = ANSWER_TIMEOUT) -> Engine:
    """Connect to that engine.

    Args:
        timeout: Seconds that one answer may take.

    Raises:
        EngineUnavailableError: No engine answers, or it is older than Docker 20.10.
    """
    session = EngineSession(engine_address(), timeout)
    session.open()
    return Engine(session)
