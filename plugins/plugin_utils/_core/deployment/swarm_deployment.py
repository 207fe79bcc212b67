# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Deploys a site to Docker Swarm: checks first, then one service after the other, each after those that it uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from ..engine.engine import Engine
from ..engine.swarm import SwarmService
from ..errors import EngineError
from .deployment_record import DeploymentRecord, DeployOutcome, end_record, note, write_record
from .labels import SERVICE, SITE, SPEC
from .secret_values import SecretValues
from .site import Site, SiteService
from .swarm import SwarmSettings, network_name, service_name, service_spec, swarm_secrets
from .swarm_checks import check_swarm, leftover_services
from .swarm_rollout import GOES_ON, STUCK, WENT_BACK, are_running, wait_for_rollout

Say = Callable[[str], None]

#: How long the containers of a removed service may take to end.
_END_SECONDS = 150
_POLL_SECONDS = 0.25

_FAILED = {DeployOutcome.FAILED, DeployOutcome.ROLLED_BACK}


class SwarmDeployment(msgspec.Struct, frozen=True):
    """A deployment to Swarm, with everything that it needs."""

    engine: Engine
    #: The site, with its entries.
    site: Site
    settings: SwarmSettings
    secrets: SecretValues
    say: Say

    def plan(self) -> dict[str, str]:
        """Return what a deployment would do with each service: ``new``, ``changed``, ``unchanged`` or ``removed``.

        Raises:
            ChainError: The site cannot run on any Swarm.
            EngineError: This engine cannot run the site.
        """
        running = check_swarm(self.engine, self.site, self.settings)
        secret_ids = {key: ("", each.name) for key, each in swarm_secrets(self.site, self.secrets).items()}
        settings = self._with_machine()
        leftovers = leftover_services(self.engine, self.site) if self.engine.swarm.state().name == "active" else []
        removed = {each.labels.get(SERVICE, each.name): "removed" for each in leftovers}
        return removed | {
            service.name: self._compare(service, running.get(service.name), settings, secret_ids)
            for service in self.site.services
        }

    def run(self, record: DeploymentRecord) -> DeploymentRecord:
        """Deploy. The record is written at each step.

        Args:
            record: The record of this deployment.

        Returns:
            The record with all outcomes.

        Raises:
            ChainError: The site cannot run on any Swarm.
            EngineError: The engine rejected a request, or this engine cannot run the site.
            RunError: The playbook has ended.
        """
        running = check_swarm(self.engine, self.site, self.settings)
        record = write_record(record)
        if self.engine.swarm.state().name == "inactive":
            self.say("making this engine a Swarm of one machine")
            self.engine.swarm.begin()
        settings = self._with_machine()
        self.engine.swarm.ensure_network(network_name(self.site), {SITE: self.site.name})
        secret_ids = self._store_secrets()
        for service in self.site.services:
            if service.published is not None:
                self._remove_leftovers()  # one of them may hold the port
            name = service_name(self.site, service.name)
            before = self.engine.swarm.find_service(name) if service.name in running else None
            spec = service_spec(self.site, service, settings, secret_ids, record.id)
            outcome, reason = self._deploy(service, before, spec)
            record = note(record, service.name, outcome, before=before.image if before else None, reason=reason)
            if outcome in _FAILED:
                break  # services that use this one were made for its new version
        else:
            self._remove_leftovers()
            self._remove_old_secrets({identifier for identifier, _name in secret_ids.values()})
        return end_record(record)

    def _remove_leftovers(self) -> None:
        """Remove the services that are no longer part of the site, and wait until their containers have ended."""
        for leftover in leftover_services(self.engine, self.site):
            self.say(f"removing {leftover.name}, which is no longer part of the site")
            self.engine.swarm.remove_service(leftover.name)
            deadline = time.monotonic() + _END_SECONDS
            label = f"{SERVICE}={leftover.labels.get(SERVICE, '')}"
            while self._has_containers(label):
                if time.monotonic() >= deadline:
                    raise EngineError(
                        f"the containers of service {leftover.name} have not ended within {_END_SECONDS} s; look at "
                        "`docker ps`, and deploy again"
                    )
                time.sleep(_POLL_SECONDS)

    def _has_containers(self, label: str) -> bool:
        return any(labels.get(SITE) == self.site.name for _id, labels in self.engine.containers.find(label))

    def _with_machine(self) -> SwarmSettings:
        """Return the settings with what this Swarm is able to do, and where the entries are."""
        state = self.engine.swarm.state()
        return replace(
            self.settings,
            entry_machine=state.machine if state.machines > 1 else "",
            two_intervals=state.two_intervals,
        )

    def _compare(
        self,
        service: SiteService,
        before: SwarmService | None,
        settings: SwarmSettings,
        secret_ids: dict[str, tuple[str, str]],
    ) -> str:
        if before is None:
            return "new"
        spec = service_spec(self.site, service, settings, secret_ids, "")
        return "unchanged" if before.labels.get(SPEC) == spec["Labels"][SPEC] else "changed"

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
                    # A container that still ends may use it; the next deployment removes it.
                    continue

    def _deploy(
        self, service: SiteService, before: SwarmService | None, spec: Mapping[str, Any]
    ) -> tuple[DeployOutcome, str]:
        name, digest = service_name(self.site, service.name), _digest(spec)
        if before is None:
            self.say(f"starting {service.name}, {service.image.reference}")
            self.engine.swarm.create_service(spec)
        elif before.labels.get(SPEC) == digest and before.update_state not in WENT_BACK | STUCK:
            if before.update_state not in GOES_ON and are_running(service, self.engine.swarm.tasks(before.id), digest):
                return DeployOutcome.UNCHANGED, ""
            self.say(f"waiting for {service.name}, which is being started already")
        else:
            self.say(f"replacing {service.name}: {before.image} by {service.image.reference}")
            self.engine.swarm.update_service(before, spec)
        return wait_for_rollout(self.engine, name, service, digest)


def _digest(spec: Mapping[str, Any]) -> str:
    return str(spec["Labels"][SPEC])
