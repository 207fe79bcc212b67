# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads from an engine which services of sites it runs: services of Swarm, and containers of quadlets and pods."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus

from ..engine.engine import Engine
from ..engine.inspection import ContainerInfo
from ..engine.swarm import SwarmService, SwarmTask
from ..errors import EngineError
from .deployed_service import ROLLED_BACK, ROLLING_BACK, STUCK, STUCK_ROLLBACK, UPDATING, DeployedService
from .labels import CHOSEN_BY, CONFIG, DEPLOYMENT, SERVICE, SITE

#: By the state of an update, as the engine names it.
_STATES = {
    "updating": UPDATING,
    "paused": STUCK,
    "rollback_started": ROLLING_BACK,
    "rollback_paused": STUCK_ROLLBACK,
    "rollback_completed": ROLLED_BACK,
}


def services_of_engine(engine: Engine, site: str | None) -> list[DeployedService]:
    """List what an engine runs for a site, or for all sites. Nothing is compared yet.

    Raises:
        EngineError: The engine does not answer, or is a worker of a Swarm.
    """
    label = SITE if site is None else f"{SITE}={site}"
    swarm = engine.swarm.state()
    if swarm.name == "active" and not swarm.is_manager:
        raise EngineError(
            "this engine is a worker of a Swarm, and only managers know what runs; set DOCKER_HOST to a manager"
        )
    found = list(_swarm_services(engine, label)) if swarm.name == "active" else []
    known = {(each.site, each.service) for each in found}
    return found + [each for each in _containers(engine, label) if (each.site, each.service) not in known]


def _swarm_services(engine: Engine, label: str) -> Iterator[DeployedService]:
    for service in engine.swarm.services(label):
        tasks = engine.swarm.tasks(service.id)
        running = [task for task in tasks if task.state == "running" == task.desired]
        slots, wanted = {task.slot for task in running}, _replicas(service)
        state = _STATES.get(service.update_state)
        has_problem = len(slots) < wanted or state in {STUCK, STUCK_ROLLBACK, ROLLED_BACK}
        yield DeployedService(
            site=service.labels.get(SITE, ""),
            service=service.labels.get(SERVICE, service.name),
            target="swarm",
            image=service.image,
            chosen_by=service.labels.get(CHOSEN_BY),
            config=service.labels.get(CONFIG),
            deployment=service.labels.get(DEPLOYMENT),
            since=min((task.since for task in running), default=None),
            running=len(slots),
            wanted=wanted,
            state=state,
            problem=_swarm_problem(service, tasks, state) if has_problem else None,
        )


def _replicas(service: SwarmService) -> int:
    return int(((service.spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas") or 0)


def _swarm_problem(service: SwarmService, tasks: list[SwarmTask], state: str | None) -> str:
    """Return the error of the newest container that has one, otherwise what else Swarm says."""
    missing = [task for task in tasks if task.state != "running"]
    if error := next((task.error for task in missing if task.error), ""):
        return error
    if state is not None and service.update_message:
        return service.update_message
    return f"the newest is {missing[0].state}" if missing else "Swarm has not made the others"


def _containers(engine: Engine, label: str) -> Iterator[DeployedService]:
    """Yield the services whose containers carry labels themselves, each once."""
    groups: dict[tuple[str, str], list[ContainerInfo]] = {}
    for container, labels in engine.containers.find(label):
        if (info := _inspect(engine, container)) is not None:
            groups.setdefault((labels.get(SITE, ""), labels.get(SERVICE, "")), []).append(info)
    for (site, service), infos in groups.items():
        running = [info for info in infos if info.running]
        # Pods have containers that prepare something, and end with 0.
        wanted = [info for info in infos if info.running or info.exit_status != 0] or infos
        main = (running or wanted)[0]
        started = [info.started for info in running if info.started]
        yield DeployedService(
            site=site,
            service=service,
            target="container",
            image=main.image,
            chosen_by=main.labels.get(CHOSEN_BY),
            config=main.labels.get(CONFIG, main.image),
            deployment=main.labels.get(DEPLOYMENT),
            since=_moment(min(started)) if started else None,
            running=len(running),
            wanted=len(wanted),
            state=None,
            problem=next((_why_ended(info) for info in wanted if not info.running), None),
        )


def _inspect(engine: Engine, container: str) -> ContainerInfo | None:
    """Inspect a container; ``None`` if it was removed after it was listed."""
    try:
        return engine.containers.inspect(container)
    except EngineError as error:
        if getattr(error, "status", None) == HTTPStatus.NOT_FOUND:
            return None
        raise


def _why_ended(info: ContainerInfo) -> str:
    if info.error:
        return info.error
    return "it was never started" if info.exit_status is None else f"exit status {info.exit_status}"


def _moment(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
