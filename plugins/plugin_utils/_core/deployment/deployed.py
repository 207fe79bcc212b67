# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs where: the answer of ``tierwright deployed``.

What runs comes from the target, and not from a file of this machine. Records of this machine only add how the last
deployment ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from ..engine.engine import Engine
from ..errors import TierwrightError
from ..progress import steps
from ..transports.registry_client import RegistryClient
from ..transports.transport import Place
from .deployed_cluster import SelectsObjects, services_of_cluster
from .deployed_engine import services_of_engine
from .deployed_images import ImageComparison
from .deployed_service import DeployedService, DeployedSites
from .deployment_record import DeploymentRecord
from .last_deployment import find_last, last_of_service

Connect = Callable[[str], RegistryClient]


def deployed_on_engine(engine: Engine, place: Place, site: str | None, connect: Connect) -> DeployedSites:
    """List what an engine runs for a site, or for all sites.

    Args:
        engine: The engine: a manager of a Swarm, or an engine with containers of quadlets or pods.
        place: The same engine, as a place of images.
        site: Name of the site.
        connect: Returns the client of a registry.

    Raises:
        EngineError: The engine does not answer, or is a worker of a Swarm.
    """
    return _complete(services_of_engine(engine, site), ImageComparison(connect, place), site)


def deployed_on_cluster(cluster: SelectsObjects, site: str | None, connect: Connect) -> DeployedSites:
    """List what one namespace of a cluster runs for a site, or for all sites.

    Args:
        cluster: The cluster.
        site: Name of the site.
        connect: Returns the client of a registry.

    Raises:
        EngineError: The cluster does not answer, or refused.
    """
    return _complete(services_of_cluster(cluster, site), ImageComparison(connect, None), site)


def _complete(services: Iterable[DeployedService], images: ImageComparison, site: str | None) -> DeployedSites:
    """Add what registries and records know, and sort."""
    compared = map(images.compare, steps(services, "comparing what runs with what is released"))
    found = sorted(compared, key=lambda each: (each.site, each.service))
    records: dict[str, DeploymentRecord | None] = {}
    notes: list[str] = []
    for name in sorted({each.site for each in found} | ({site} if site else set())):
        try:
            records[name] = find_last(name)
        except TierwrightError as error:
            notes.append(str(error))
    if site is not None and not found:
        notes += _elsewhere(records.get(site))
    known = [replace(each, last=last_of_service(records.get(each.site), each.service, each.target)) for each in found]
    return DeployedSites(known, notes)


def _elsewhere(record: DeploymentRecord | None) -> Iterator[str]:
    if record is not None:
        yield (
            f"{record.id} of this machine deployed {record.site} to {record.target}, but nothing of it runs here; name "
            "the engine by DOCKER_HOST, or the cluster by --context and --namespace"
        )
