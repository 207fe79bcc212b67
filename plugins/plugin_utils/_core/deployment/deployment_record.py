# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of a deployment: what should run, what ran before, and how it ended.

A record is written before anything is changed, and after each service. So after a crash, it says how far the deployment
came. Records are for people and for ``tierwright deployed``: what really runs is asked from the target.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from ..chain.names import file_name
from ..errors import DamagedError
from ..local_files import state, write_durably
from ..records import decode, encode
from .site import Site

_KEPT = 100


class DeployOutcome(Enum):
    """How the deployment of a service, or of a site, ended."""

    WAITING = "waiting"
    UNCHANGED = "unchanged"
    DEPLOYED = "deployed"
    #: The target went back to what ran before.
    ROLLED_BACK = "rolled back"
    FAILED = "failed"


class ServiceRecord(msgspec.Struct, frozen=True):
    """What a deployment did with one service."""

    service: str
    #: The image by digest, and the name that it was chosen by.
    image: str
    chosen_by: str
    #: Digest of its configuration: the image ID.
    config: str
    tier: str
    team: str
    #: What the service ran before; ``null`` if it is new.
    before: str | None = None
    outcome: DeployOutcome = DeployOutcome.WAITING
    #: Why it failed, in one sentence; empty if it did not.
    reason: str = ""


class DeploymentRecord(msgspec.Struct, frozen=True):
    """A deployment of a site."""

    #: Its name: ``deploy-20261129T201500Z``.
    id: str
    site: str
    #: ``kubernetes``, ``openshift``, ``swarm`` or ``quadlet``.
    target: str
    #: RFC 3339 times; the second one is ``null`` until the end.
    began: str
    ended: str | None
    services: list[ServiceRecord]

    @property
    def outcome(self) -> DeployOutcome:
        """The worst outcome of its services."""
        outcomes = {service.outcome for service in self.services}
        worst_first = (
            *(DeployOutcome.FAILED, DeployOutcome.ROLLED_BACK, DeployOutcome.WAITING),
            *(DeployOutcome.DEPLOYED, DeployOutcome.UNCHANGED),
        )
        return next((outcome for outcome in worst_first if outcome in outcomes), DeployOutcome.UNCHANGED)


def begin_record(site: Site, target: str) -> DeploymentRecord:
    """Make the record of a deployment that begins now. It is not written yet."""
    now = time.gmtime()
    services = [
        ServiceRecord(
            service=service.name,
            image=service.image.reference,
            chosen_by=service.image.chosen_by,
            config=service.image.config,
            tier=service.image.tier,
            team=service.image.team,
        )
        for service in site.services
    ]
    name = time.strftime("deploy-%Y%m%dT%H%M%SZ", now)
    return DeploymentRecord(name, site.name, target, time.strftime("%Y-%m-%dT%H:%M:%SZ", now), None, services)


def note(
    record: DeploymentRecord, service: str, outcome: DeployOutcome, *, before: str | None, reason: str = ""
) -> DeploymentRecord:
    """Return the record with the outcome of one service, and write it."""
    services = [
        replace(each, outcome=outcome, before=before, reason=reason) if each.service == service else each
        for each in record.services
    ]
    return write_record(replace(record, services=services))


def end_record(record: DeploymentRecord) -> DeploymentRecord:
    """Return the record with the time of its end, and write it."""
    return write_record(replace(record, ended=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())))


def write_record(record: DeploymentRecord) -> DeploymentRecord:
    """Write a record, and remove the oldest ones.

    Raises:
        OSError: It cannot be written.
    """
    folder = _folder(record.site)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(folder / f"{record.id}.json", encode(record, indent=2) + "\n")
    for path in sorted(folder.glob("deploy-*.json"))[:-_KEPT]:
        path.unlink(missing_ok=True)
    return record


def read_records(site: str) -> Iterator[DeploymentRecord]:
    """Yield the records of a site on this machine, the newest first.

    Raises:
        DamagedError: A record cannot be read.
    """
    for path in sorted(_folder(site).glob("deploy-*.json"), reverse=True):
        try:
            yield decode(path.read_text(), DeploymentRecord)
        except (OSError, ValueError) as error:
            raise DamagedError(f"{path} is not a valid record of a deployment: {error}; remove it") from error


def recorded_sites() -> list[str]:
    """Return the sorted names of the sites that this machine has records of."""
    root = _root()
    return sorted(unquote(path.name) for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _root() -> Path:
    return state() / "sites"


def _folder(site: str) -> Path:
    return _root() / file_name(site)
