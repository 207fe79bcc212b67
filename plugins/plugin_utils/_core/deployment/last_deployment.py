# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what the newest record of this machine says about a site: how its last deployment ended."""

from __future__ import annotations

from .deployed_service import INTERRUPTED, LastDeployment
from .deployment_record import DeploymentRecord, DeployOutcome, ServiceRecord, read_records
from .site_lock import is_being_deployed

#: The targets of records, by the target that ``tierwright deployed`` names.
_TARGETS = {
    "swarm": {"swarm"},
    "kubernetes": {"kubernetes", "openshift"},
    "container": {"quadlet"},
}
_NOT_REACHED = "not reached"


def find_last(site: str) -> DeploymentRecord | None:
    """Return the newest record of a site; ``None`` if there is none.

    Raises:
        ChainError: The name of the site is too long.
        DamagedError: The record cannot be read.
    """
    return next(read_records(site), None)


def last_of_service(record: DeploymentRecord | None, service: str, target: str) -> LastDeployment | None:
    """Return what a record says about a service.

    Args:
        record: The newest record of its site, if there is one.
        service: The service.
        target: The target that the service runs on. A record of a different one says nothing about it.
    """
    if record is None or record.target not in _TARGETS[target]:
        return None
    found = next((each for each in record.services if each.service == service), None)
    if found is None:
        return None
    return LastDeployment(
        id=record.id,
        began=record.began,
        outcome=_outcome(record, found),
        image=found.image,
        config=found.config,
        tier=found.tier or None,
        team=found.team or None,
        reason=found.reason or None,
    )


def _outcome(record: DeploymentRecord, service: ServiceRecord) -> str:
    if service.outcome is not DeployOutcome.WAITING:
        return str(service.outcome.value)
    if record.ended is not None:
        return _NOT_REACHED
    # Its process holds the lock of the site as long as it works.
    return str(service.outcome.value) if is_being_deployed(record.site) else INTERRUPTED
