# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Deploys a site to Docker Swarm: checks first, then one service after the other, each after those that it uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..engine.engine import Engine
from ..engine.swarm import SwarmService, SwarmTask
from ..errors import EngineError
from .deployment_record import DeploymentRecord, DeployOutcome, end_record, note, write_record
from .labels import SITE, SPEC
from .secret_values import SecretValues
from .site import Site, SiteService
from .swarm import SwarmSettings, network_name, service_name, service_spec, swarm_secrets

_POLL_SECONDS = 0.25
#: A service without an update is stable if all its containers have been running for this time.
_STABLE_SECONDS = 2
#: How long Swarm may take to replace one container, besides its start and its end.
_SPARE_SECONDS = 60

Say = Callable[[str], None]

_GOES_ON = {"updating", "rollback_started"}
_BACK = {"rollback_completed"}
_STUCK = {"paused", "rollback_paused"}


@dataclass(frozen=True, slots=True)
class SwarmDeployment:
    """A deployment to Swarm, with everything that it needs."""

    engine: Engine
    site: Site
    settings: SwarmSettings
    secrets: SecretValues
    say: Say

    def check(self) -> dict[str, SwarmService]:
        """Check everything that can be checked before something is changed.

        Returns:
            The services that run already, by name in the site.

        Raises:
            EngineError: This engine cannot run the site, or the site's database is not healthy.
        """
        self._check_ports()
        state, is_manager = self.engine.swarm.state()
        if state == "active" and not is_manager:
            raise EngineError(
                "this engine is a worker of a Swarm, and only managers can deploy; set DOCKER_HOST to a manager"
            )
        if state not in {"active", "inactive"}:
            raise EngineError(f"the Swarm of this engine is {state}; `docker info` says more")
        if state == "inactive":
            return {}
        running = {}
        for service in self.site.services:
            found = self.engine.swarm.find_service(service_name(self.site, service.name))
            if found is None:
                continue
            if found.labels.get(SITE) != self.site.name:
                raise EngineError(
                    f"service {found.name} exists already, and is not of this site; remove it, or choose a different "
                    "deploy_name"
                )
            running[service.name] = found
            self._check_health(service, found)
        return running

    def run(self, record: DeploymentRecord) -> DeploymentRecord:
        """Deploy. The record is written at each step.

        Args:
            record: The record of this deployment.

        Returns:
            The record with all outcomes.

        Raises:
            EngineError: The engine rejected a request, or :meth:`check` found a problem.
        """
        running = self.check()
        record = write_record(record)
        if self.engine.swarm.state()[0] == "inactive":
            self.say("making this engine a Swarm of one machine")
            self.engine.swarm.begin()
        self.engine.swarm.ensure_network(network_name(self.site), {SITE: self.site.name})
        secret_ids = self._store_secrets()
        for service in self.site.services:
            before = running.get(service.name)
            outcome, reason = self._deploy(service, before, secret_ids, record.id)
            record = note(record, service.name, outcome, before=before.image if before else None, reason=reason)
            if outcome in {DeployOutcome.FAILED, DeployOutcome.ROLLED_BACK}:
                break  # services that use this one were made for its new version
        else:
            self._remove_old_secrets({identifier for identifier, _name in secret_ids.values()})
        return end_record(record)

    def plan(self) -> dict[str, str]:
        """Return what a deployment would do with each service: ``new``, ``changed`` or ``unchanged``."""
        running = self.check()
        secret_ids = {key: ("", each.name) for key, each in swarm_secrets(self.site, self.secrets).items()}
        return {
            service.name: self._compare(service, running.get(service.name), secret_ids)
            for service in self.site.services
        }

    def _check_ports(self) -> None:
        for service in self.site.services:
            if service.published is not None and service.replicas > 1 and not self.settings.mesh:
                raise EngineError(
                    f"service {service.name!r} has {service.replicas} replicas and the port {service.published} of the "
                    "machine, which only one container may have; set deploy_replicas for it to 1, or deploy_mesh "
                    "to true"
                )

    def _compare(
        self, service: SiteService, before: SwarmService | None, secret_ids: dict[str, tuple[str, str]]
    ) -> str:
        if before is None:
            return "new"
        spec = service_spec(self.site, service, self.settings, secret_ids, "")
        return "unchanged" if before.labels.get(SPEC) == spec["Labels"][SPEC] else "changed"

    def _check_health(self, service: SiteService, found: SwarmService) -> None:
        """Check that a service that others depend on runs. Replacing them as well would make it worse."""
        if not service.exclusive:
            return
        tasks = self.engine.swarm.tasks(found.id)
        if tasks and not any(task.state == "running" for task in tasks):
            reason = f": {tasks[0].error}" if tasks[0].error else ""
            raise EngineError(
                f"service {found.name} is not healthy ({tasks[0].state}{reason}); `docker service logs {found.name}` "
                "says more. Nothing is changed"
            )

    def _store_secrets(self) -> dict[str, tuple[str, str]]:
        wanted = swarm_secrets(self.site, self.secrets)
        stored = self.engine.swarm.secrets(f"{SITE}={self.site.name}")
        return {
            key: (
                stored.get(secret.name)
                or self.engine.swarm.create_secret(secret.name, self.secrets.values[key], {SITE: self.site.name}),
                secret.name,
            )
            for key, secret in wanted.items()
        }

    def _remove_old_secrets(self, used: set[str]) -> None:
        for identifier in self.engine.swarm.secrets(f"{SITE}={self.site.name}").values():
            if identifier not in used:
                try:
                    self.engine.swarm.remove_secret(identifier)
                except EngineError:
                    # Swarm keeps the previous specification of a service for a rollback, but not its secrets. A
                    # container that still ends may use it; the next deployment removes it.
                    continue

    def _deploy(
        self,
        service: SiteService,
        before: SwarmService | None,
        secret_ids: dict[str, tuple[str, str]],
        deployment: str,
    ) -> tuple[DeployOutcome, str]:
        spec = service_spec(self.site, service, self.settings, secret_ids, deployment)
        if before is None:
            self.say(f"starting {service.name}, {service.image.reference}")
            self.engine.swarm.create_service(spec)
        elif before.labels.get(SPEC) == spec["Labels"][SPEC] and before.update_state not in _BACK | _STUCK:
            return DeployOutcome.UNCHANGED, ""
        else:
            self.say(f"replacing {service.name}: {before.image} by {service.image.reference}")
            self.engine.swarm.update_service(before, spec)
        return self._wait(service)

    def _wait(self, service: SiteService) -> tuple[DeployOutcome, str]:
        """Wait until all containers of a service are replaced, or until Swarm gives up."""
        for found, tasks in self._watch(service):
            state = found.update_state
            if state in _BACK:
                return DeployOutcome.ROLLED_BACK, _reason(tasks)
            if state in _STUCK:
                return DeployOutcome.FAILED, _reason(tasks) or found.update_message
            if state not in _GOES_ON and _are_running(service, tasks):
                return DeployOutcome.DEPLOYED, ""
        return DeployOutcome.FAILED, _reason(tasks) or "its containers did not become healthy in time"

    def _watch(self, service: SiteService) -> Iterator[tuple[SwarmService, list[SwarmTask]]]:
        """Yield the state of a service whenever it may be final: Swarm says so, or its containers have run for a while.

        The state at the deadline comes last.
        """
        name, probe = service_name(self.site, service.name), service.probe
        each = probe.start_period + service.stop_seconds + _SPARE_SECONDS
        deadline = time.monotonic() + each * service.replicas
        running_since: float | None = None
        while time.monotonic() < deadline:
            found = self.engine.swarm.find_service(name)
            if found is None:
                raise EngineError(f"service {name} was removed while it was being deployed")
            tasks = self.engine.swarm.tasks(found.id)
            if not _are_running(service, tasks):
                running_since = None
            elif running_since is None:
                running_since = time.monotonic()
            ended = found.update_state in {"completed", *_BACK, *_STUCK}
            if ended or (running_since is not None and time.monotonic() - running_since >= _STABLE_SECONDS):
                yield found, tasks
            time.sleep(_POLL_SECONDS)
        yield found, tasks


def _are_running(service: SiteService, tasks: list[SwarmTask]) -> bool:
    running = {
        task.slot
        for task in tasks
        if (task.state, task.desired, task.image) == ("running", "running", service.image.reference)
    }
    return len(running) >= service.replicas


def _reason(tasks: list[SwarmTask]) -> str:
    """Return why the newest failed container failed; empty if none did."""
    return next((task.error for task in tasks if task.error), "")
