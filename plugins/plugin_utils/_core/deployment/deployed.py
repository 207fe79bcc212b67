# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs where: the answer of ``tierwright deployed``. It comes from the target, not from a file of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ..chain.names import is_digest, split_registry
from ..engine.engine import Engine
from ..engine.swarm import SwarmService
from ..errors import TierwrightError
from ..handover.published_image import read_published
from ..transports.image import layers
from ..transports.image_document import Document
from ..transports.registry_client import RegistryClient
from .labels import CHOSEN_BY, CONFIG, DEPLOYMENT, SERVICE, SITE


@dataclass(frozen=True, slots=True)
class OutdatedLayer:
    """A layer of what runs that the newest image under the same name does not have."""

    #: ``null`` if the layer does not say who made it.
    tier: str | None
    team: str | None


@dataclass(frozen=True, slots=True)
class DeployedService:
    """A service that runs. Unknown values are ``null``."""

    site: str
    service: str
    #: ``swarm``, or ``container`` for quadlets and pods of Podman.
    target: str
    #: The image by digest, and the name that it was chosen by.
    image: str
    chosen_by: str | None
    #: Digest of its configuration: the image ID.
    config: str | None
    #: The deployment that last changed the service.
    deployment: str | None
    #: RFC 3339 time at which its oldest container started.
    since: str | None
    #: Containers that run, and that should run.
    running: int
    wanted: int
    #: ``updating``, ``rolled back`` …; ``null`` if nothing is going on.
    state: str | None
    #: The image that ``chosen_by`` names now; ``null`` if that is not known.
    newest: str | None
    #: The layers that are out of date, the lowest first. Their teams have released something that does not run yet.
    outdated: list[OutdatedLayer]
    #: Why it is not known whether something is out of date.
    unknown: str | None


@dataclass(frozen=True, slots=True)
class DeployedSites:
    """Everything that one engine runs for sites."""

    services: list[DeployedService]


Connect = Callable[[str], RegistryClient]


def list_deployed(engine: Engine, site: str | None, connect: Connect) -> DeployedSites:
    """List what an engine runs for a site, or for all sites.

    Args:
        engine: The engine: a manager of a Swarm, or an engine with containers of quadlets or pods.
        site: Name of the site.
        connect: Returns the client of a registry.

    Raises:
        EngineError: The engine does not answer.
    """
    compared = [_compare(each, connect) for each in running_services(engine, site)]
    return DeployedSites(sorted(compared, key=lambda each: (each.site, each.service)))


def running_services(engine: Engine, site: str | None) -> list[DeployedService]:
    """List what an engine runs for a site, or for all sites, without asking a registry whether it is out of date.

    Raises:
        EngineError: The engine does not answer.
    """
    label = SITE if site is None else f"{SITE}={site}"
    swarm = engine.swarm.state()
    found = list(_swarm_services(engine, label)) if swarm.name == "active" and swarm.is_manager else []
    known = {(each.site, each.service) for each in found}
    return found + [each for each in _containers(engine, label) if (each.site, each.service) not in known]


def _swarm_services(engine: Engine, label: str) -> Iterator[DeployedService]:
    for service in engine.swarm.services(label):
        tasks = [task for task in engine.swarm.tasks(service.id) if task.state == "running" == task.desired]
        yield DeployedService(
            site=service.labels.get(SITE, ""),
            service=service.labels.get(SERVICE, service.name),
            target="swarm",
            image=service.image,
            chosen_by=service.labels.get(CHOSEN_BY),
            config=service.labels.get(CONFIG),
            deployment=service.labels.get(DEPLOYMENT),
            since=min((task.since for task in tasks), default=None),
            running=len(tasks),
            wanted=_replicas(service),
            state=service.update_state.replace("_", " ") if service.update_state not in {"", "completed"} else None,
            newest=None,
            outdated=[],
            unknown=None,
        )


def _replicas(service: SwarmService) -> int:
    return int(((service.spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas") or 0)


def _containers(engine: Engine, label: str) -> Iterator[DeployedService]:
    """Yield the services whose containers carry labels themselves, each once."""
    groups: dict[tuple[str, str], list[str]] = {}
    labels_of: dict[str, dict[str, str]] = {}
    for container, labels in engine.containers.find(label):
        groups.setdefault((labels.get(SITE, ""), labels.get(SERVICE, "")), []).append(container)
        labels_of[container] = labels
    for (site, service), containers in groups.items():
        infos = [engine.containers.inspect(container) for container in containers]
        running = [info for info in infos if info.running]
        first, started = labels_of[containers[0]], [info.started for info in running if info.started]
        yield DeployedService(
            site=site,
            service=service,
            target="container",
            image=infos[0].image,
            chosen_by=first.get(CHOSEN_BY),
            config=first.get(CONFIG, infos[0].image),
            deployment=None,
            since=_moment(min(started)) if started else None,
            running=len(running),
            wanted=len(infos),
            state=None,
            newest=None,
            outdated=[],
            unknown=None,
        )


def _moment(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _compare(service: DeployedService, connect: Connect) -> DeployedService:
    """Compare what runs with what its name stands for now, if that name is in a registry."""
    registry = split_registry((service.chosen_by or "").partition("@")[0].rpartition(":")[0])
    if registry is None or is_digest((service.chosen_by or "").rpartition("@")[2]):
        return replace(service, unknown="it was not chosen by a tag in a registry")
    host, repository = registry
    tag = (service.chosen_by or "").rpartition(":")[2]
    try:
        client = connect(host)
        newest = read_published(client, repository, tag)
        current = read_published(client, repository, service.image.partition("@")[2])
    except TierwrightError as error:
        return replace(service, unknown=str(error))
    if newest is None or current is None:
        missing = f"registry {host} does not have {service.chosen_by} or {service.image} any more"
        return replace(service, unknown=missing)
    return replace(service, newest=newest.name, outdated=outdated_layers(current.document, newest.document))


def outdated_layers(current: Document, newest: Document) -> list[OutdatedLayer]:
    """Return the layers of an image that are not in the newest one, the lowest first."""
    kept = set(newest.layers)
    return [OutdatedLayer(layer.tier, layer.team) for layer in layers(current) if layer.digest not in kept]


def is_current(service: DeployedService) -> bool:
    """Say whether nothing is known to be out of date."""
    return service.newest is None or service.newest == service.image
