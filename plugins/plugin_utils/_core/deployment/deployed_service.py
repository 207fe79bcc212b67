# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known about one service that runs. Unknown values are ``null`` in JSON."""

from __future__ import annotations

import msgspec

from ..chain.names import is_digest

#: States in which nothing goes on by itself: somebody must act.
ROLLED_BACK = "rolled back"
STUCK = "stuck"
STUCK_ROLLBACK = "stuck while rolling back"
#: States that end by themselves.
UPDATING = "updating"
ROLLING_BACK = "rolling back"

#: Outcomes of deployments after which somebody must act. The first two are those of the record.
FAILED = "failed"
INTERRUPTED = "interrupted"


class OutdatedLayer(msgspec.Struct, frozen=True):
    """A layer of what runs that the newest image under the same name does not have."""

    #: ``null`` if the layer does not say who made it.
    tier: str | None
    team: str | None


class LastDeployment(msgspec.Struct, frozen=True):
    """What the newest record of this machine says about a service."""

    #: Its name: ``deploy-20261129T201500Z``.
    id: str
    #: RFC 3339 time.
    began: str
    #: ``deployed``, ``unchanged``, ``rolled back``, ``failed``; ``not reached`` if the deployment ended before this
    #: service; if it has not ended, ``waiting``, or ``interrupted`` if its process is gone.
    outcome: str
    #: The image that should run, by digest, and its ID.
    image: str
    config: str
    #: The tier and the team that made it.
    tier: str | None
    team: str | None
    #: Why it failed.
    reason: str | None


class DeployedService(msgspec.Struct, frozen=True):
    """A service that runs."""

    site: str
    service: str
    #: ``swarm``, ``kubernetes`` (OpenShift, too), or ``container`` for quadlets and pods of Podman.
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
    #: ``updating``, ``rolling back``, ``rolled back``, ``stuck``, ``stuck while rolling back``; ``null`` if nothing is
    #: going on.
    state: str | None
    #: Why containers do not run, or why the roll-out is stuck, as the target says it.
    problem: str | None
    #: The newest release that the image belongs to: ``release-20261124T093000Z``.
    release: str | None = None
    #: The image that ``chosen_by`` names now, by digest.
    newest: str | None = None
    #: Whether this is the image that runs.
    current: bool | None = None
    #: The layers that are out of date, the lowest first. Their teams have released something that does not run yet.
    outdated: list[OutdatedLayer] = msgspec.field(default_factory=list)
    #: Why it is not known whether something is out of date; ``null`` also if it was chosen by a digest.
    unknown: str | None = None
    #: The last deployment from this machine.
    last: LastDeployment | None = None


class DeployedSites(msgspec.Struct, frozen=True):
    """Everything that one engine, or one namespace of a cluster, runs for sites."""

    services: list[DeployedService]
    #: What else a reader should know: a record that cannot be read, or a site that was deployed elsewhere.
    notes: list[str]


def is_pinned(service: DeployedService) -> bool:
    """Say whether the image was chosen by a digest, so that nothing can be newer."""
    return service.chosen_by is not None and is_digest(service.chosen_by.rpartition("@")[2])


def has_failed(service: DeployedService) -> bool:
    """Say whether the last deployment of a service, as the record or the target knows it, did not work."""
    outcome = service.last.outcome if service.last and not _is_superseded(service, service.last) else None
    return outcome in {FAILED, ROLLED_BACK, INTERRUPTED} or service.state in {ROLLED_BACK, STUCK, STUCK_ROLLBACK}


def _is_superseded(service: DeployedService, last: LastDeployment) -> bool:
    """Say whether a different machine has deployed the service since. Names of deployments contain their times."""
    return service.deployment is not None and service.deployment > last.id


def needs_action(service: DeployedService) -> bool:
    """Say whether a service is out of date or cannot be compared, lacks containers, or was not deployed completely."""
    behind = service.current is False or service.unknown is not None
    return behind or service.running < service.wanted or has_failed(service)


def failed_release_is_newest(service: DeployedService) -> bool:
    """Say whether an image failed, and is still what its name stands for. So the next deployment tries it again."""
    last = service.last
    tried = last is not None and last.outcome in {FAILED, ROLLED_BACK}
    return tried and last is not None and service.newest in {last.image, last.config}
