# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waits for the end of a roll-out on Swarm, and says how it ended.

Swarm does the work by itself, also if this process ends. ``UpdateStatus`` of a service says how an update stands. A new
service has none, so its containers are watched.
"""

from __future__ import annotations

import time

from ..engine.engine import Engine
from ..engine.swarm import SwarmService, SwarmTask
from ..errors import EngineError, RunError
from ..parent_process import ParentProcess
from .deployment_record import DeployOutcome
from .labels import SPEC
from .site import SiteService

_POLL_SECONDS = 0.25
#: A service without an update is stable if all its containers have been running for this time.
_STABLE_SECONDS = 2
#: How long Swarm may take to replace one container, besides its start and its end.
_SPARE_SECONDS = 60
#: A new service is given up after this number of failed containers. An update is rolled back by Swarm itself.
_MOST_FAILURES = 5
#: How long the engine may be away, for example because it is started again.
_AWAY_SECONDS = 60

#: The states of an update, as the engine names them.
GOES_ON = frozenset({"updating", "rollback_started"})
WENT_BACK = frozenset({"rollback_completed"})
STUCK = frozenset({"paused", "rollback_paused"})
_COMPLETED = "completed"


def wait_for_rollout(engine: Engine, name: str, service: SiteService, spec: str) -> tuple[DeployOutcome, str]:
    """Wait until all containers of a service are replaced, or until Swarm gives up.

    Args:
        engine: A manager.
        name: Name of the service in Swarm.
        service: The service.
        spec: The digest of its specification, which its containers carry as a label.

    Returns:
        ``DEPLOYED``, ``ROLLED_BACK`` or ``FAILED``, and why; empty if it worked.

    Raises:
        EngineError: The engine does not answer, or the service was removed.
        RunError: The playbook has ended.
    """
    each = service.probe.start_period + service.stop_seconds + _SPARE_SECONDS
    deadline, parent = time.monotonic() + each * service.replicas, ParentProcess()
    running_since: float | None = None
    away_since: float | None = None
    while True:
        try:
            found, tasks = _look(engine, name)
            away_since = None
        except EngineError:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since >= _AWAY_SECONDS:
                raise
            found, tasks = None, []
        if found is not None:
            complete = are_running(service, tasks, spec)
            running_since = (running_since or time.monotonic()) if complete else None
            stable = running_since is not None and time.monotonic() - running_since >= _STABLE_SECONDS
            outcome = _outcome(found, stable=stable, complete=complete)
            if outcome is DeployOutcome.DEPLOYED:
                return outcome, ""
            if outcome is not None or (not found.update_state and _failures(tasks, spec) >= _MOST_FAILURES):
                return outcome or DeployOutcome.FAILED, _reason(found, tasks, spec)
        if time.monotonic() >= deadline:
            return DeployOutcome.FAILED, _reason(found, tasks, spec) or "its containers did not become healthy in time"
        if parent.has_ended():
            raise RunError(f"the playbook has ended; Swarm goes on to replace {name}")
        time.sleep(_POLL_SECONDS)


def are_running(service: SiteService, tasks: list[SwarmTask], spec: str) -> bool:
    """Say whether all replicas run, with this specification."""
    running = {
        task.slot for task in tasks if (task.state, task.desired, task.labels.get(SPEC)) == ("running", "running", spec)
    }
    return len(running) >= service.replicas


def _look(engine: Engine, name: str) -> tuple[SwarmService, list[SwarmTask]]:
    found = engine.swarm.find_service(name)
    if found is None:
        raise EngineError(f"service {name} was removed while it was being deployed")
    return found, engine.swarm.tasks(found.id)


def _outcome(found: SwarmService, *, stable: bool, complete: bool) -> DeployOutcome | None:
    if found.update_state in WENT_BACK:
        return DeployOutcome.ROLLED_BACK
    if found.update_state in STUCK:
        return DeployOutcome.FAILED
    if found.update_state == _COMPLETED and complete:
        return DeployOutcome.DEPLOYED
    return DeployOutcome.DEPLOYED if stable and found.update_state not in GOES_ON else None


def _failures(tasks: list[SwarmTask], spec: str) -> int:
    """Count the containers that ended, and those that could not start. Swarm keeps the last five of each replica."""
    ended = {"complete", "failed", "rejected"}
    return sum(task.state in ended and task.labels.get(SPEC) == spec for task in tasks)


def _reason(found: SwarmService | None, tasks: list[SwarmTask], spec: str) -> str:
    """Return why the newest failed container of this specification failed, or what Swarm says."""
    of_spec = [task for task in tasks if task.labels.get(SPEC) == spec]
    errors = [task.error for task in of_spec if task.error]
    if errors:
        return errors[0]
    if any(task.state == "complete" for task in of_spec):
        return "its containers end again and again, or never become healthy"
    return found.update_message if found else ""
