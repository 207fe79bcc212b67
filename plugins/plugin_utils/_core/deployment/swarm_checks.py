# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks whether a Swarm can run a site, before anything is changed."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from ..engine.engine import Engine
from ..engine.swarm import SwarmService, SwarmState
from ..errors import ChainError, EngineError
from .labels import PORT, SITE
from .port import check_port
from .site import Site, SiteService
from .swarm import SwarmSettings, held_port, may_overlap, service_name
from .swarm_entry import most_proxies

#: How long a database may start, or start again, before its site is left alone.
_PATIENCE_SECONDS = 30
_POLL_SECONDS = 0.5
_FIRST_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def check_swarm(engine: Engine, site: Site, settings: SwarmSettings) -> dict[str, SwarmService]:
    """Check everything that can be checked before something is changed.

    Args:
        engine: A manager of the Swarm, or an engine without one.
        site: The site, with its entries.
        settings: What users say about the Swarm.

    Returns:
        The services that run already, by name in the site.

    Raises:
        ChainError: The site cannot run on any Swarm.
        EngineError: This engine cannot run the site, a port is in use, or the site's database is not healthy.
    """
    for service in site.services:
        _check_replicas(service, settings)
    state = engine.swarm.state()
    _check_state(state)
    running = _find_services(engine, site) if state.name == "active" else {}
    own = leftover_services(engine, site) if state.name == "active" else []
    held = {each.labels.get(PORT) for each in (*running.values(), *own)}
    for service in site.services:
        _check_port(engine, service, held)
        if service.exclusive and service.name in running:
            _check_health(engine, running[service.name])
    return running


def _check_replicas(service: SiteService, settings: SwarmSettings) -> None:
    if service.published is not None and service.replicas > 1 and not may_overlap(service, settings):
        raise ChainError(
            f"service {service.name!r} has {service.replicas} replicas and the port {service.published} of the "
            "machine, which only one container can publish; set deploy_entries to at least 1, deploy_mesh to true, or "
            f"deploy_replicas.{service.name} to 1"
        )
    if service.on_entry_machine and service.machine_port is None and service.replicas > most_proxies():
        raise ChainError(
            f"deploy_replicas.{service.name} is {service.replicas}; the entries can use at most {most_proxies()}"
        )


def _check_state(state: SwarmState) -> None:
    if state.name == "active" and not state.is_manager:
        raise EngineError(
            "this engine is a worker of a Swarm, and only managers can deploy; set DOCKER_HOST to a manager"
        )
    if state.name not in {"active", "inactive"}:
        raise EngineError(f"the Swarm of this engine is {state.name}; `docker info` says more")


def _find_services(engine: Engine, site: Site) -> dict[str, SwarmService]:
    running = {}
    for service in site.services:
        found = engine.swarm.find_service(service_name(site, service.name))
        if found is None:
            continue
        if found.labels.get(SITE) != site.name:
            raise EngineError(
                f"service {found.name} exists already, and is not of this site; remove it, or choose a different "
                "deploy_name"
            )
        running[service.name] = found
    return running


def leftover_services(engine: Engine, site: Site) -> list[SwarmService]:
    """Return the services that run for a site, and are no longer part of it, as entries after ``deploy_entries: 0``.

    Raises:
        EngineError: The engine does not answer.
    """
    names = {service_name(site, service.name) for service in site.services}
    return [each for each in engine.swarm.services(f"{SITE}={site.name}") if each.name not in names]


def _check_port(engine: Engine, service: SiteService, held: Collection[str | None]) -> None:
    """Check that a port can be opened. ``held`` are the ports that the site itself has now."""
    port = service.machine_port
    if port is not None and engine.address.startswith("unix://"):
        first = _first_port()
        if port < first:
            raise EngineError(
                f"deploy_port is {port}, but this machine gives ports below {first} to root only, and no service "
                f"of the site is root; choose a port from {first}, set net.ipv4.ip_unprivileged_port_start of the "
                f"machine to {port}, or set deploy_entries to 0 "
                "(then the proxy turns visitors away while it is replaced)"
            )
    port = held_port(service)
    if port is not None and str(port) not in held:
        check_port(engine.address, port)


def _first_port() -> int:
    try:
        return int(_FIRST_PORT.read_text())
    except (OSError, ValueError):
        return 1024


def _check_health(engine: Engine, found: SwarmService) -> None:
    """Check that a service that others depend on runs. Replacing them as well would make it worse."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        tasks = engine.swarm.tasks(found.id)
        if not tasks or any(task.state == "running" for task in tasks):
            return
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_SECONDS)
    reason = next((f": {task.error}" for task in tasks if task.error), "")
    raise EngineError(
        f"service {found.name} is not healthy ({tasks[0].state}{reason}); `docker service logs {found.name}` says "
        "more. Nothing is changed"
    )
