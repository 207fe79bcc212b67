# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares what a site runs with the images that its tags name now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice, takewhile

import msgspec

from ..deployment.choose_images import choose_image
from ..deployment.deployed_cluster import SelectsObjects, services_of_cluster
from ..deployment.deployed_engine import services_of_engine
from ..deployment.deployment_record import DeploymentRecord, DeployOutcome, read_records
from ..deployment.site import DeployedImage
from ..deployment.site_lock import is_being_deployed
from ..engine.engine import Engine
from ..errors import ChainError
from ..text import short
from ..transports.registry_client import RegistryClient
from .survey import WorkKind, WorkNeed

#: Targets to which ``playbooks/deploy.yml`` rolls out. For the others, it only writes files.
TARGETS = ("swarm", "kubernetes", "openshift")

#: How often the same images are deployed before they are left alone. A container that was killed from outside while it
#: was new looks like a bad image.
_CHANCES = 2

_REJECTED = {DeployOutcome.FAILED, DeployOutcome.ROLLED_BACK}


class RunningImage(msgspec.Struct, frozen=True):
    """The image that a service runs."""

    #: As the target knows it.
    image: str
    #: Digest of its configuration: the image ID; ``None`` if the service does not say.
    config: str | None


def check_target(target: str, render_to: object) -> None:
    """Check that a site can be watched.

    Raises:
        ChainError: It cannot.
    """
    if render_to:
        raise ChainError(
            "watch_deploy is true, but deploy_render_to is set, so nothing would be rolled out; remove one of them"
        )
    if target not in TARGETS:
        raise ChainError(
            f"watch_deploy is true, but deploy_target is {target!r}; expected one of {', '.join(TARGETS)}, because "
            "for the others only files are written"
        )


def running_in_engine(engine: Engine, site: str) -> dict[str, RunningImage]:
    """Return what an engine runs for a site, by service.

    Raises:
        EngineError: The engine does not answer.
    """
    return {each.service: RunningImage(each.image, each.config) for each in services_of_engine(engine, site)}


def running_in_cluster(cluster: SelectsObjects, site: str) -> dict[str, RunningImage]:
    """Return what a cluster runs for a site, by service.

    Raises:
        EngineError: The cluster does not answer.
    """
    # Its annotations would not do: a trigger of OpenShift changes only the image.
    return {each.service: RunningImage(each.image, None) for each in services_of_cluster(cluster, site)}


def choose_images(
    names: Mapping[str, str], connect: Callable[[str], RegistryClient], engine: Engine | None
) -> dict[str, DeployedImage]:
    """Find the images that a site shall run, by service. Raises the same errors as :func:`.choose_image`."""
    return {service: choose_image(service, name, connect, engine) for service, name in names.items()}


def survey_site(site: str, wanted: Mapping[str, DeployedImage], running: Mapping[str, RunningImage]) -> WorkNeed:
    """Compare what a site runs with what it shall run, and with its newest deployment.

    Args:
        site: Its name.
        wanted: The images that it shall run, by service.
        running: What it runs, by service.

    Raises:
        DamagedError: The record of a deployment cannot be read.
    """
    subject = {service: image.config for service, image in sorted(wanted.items())}
    reasons = list(_differences(wanted, running))
    busy, records = is_being_deployed(site), _newest_of(site, subject)
    last = records[0] if records else None
    rejections = list(takewhile(_describe, records))
    rejected = ""
    if last and len(rejections) >= _CHANCES:
        rejected = f"{_describe(last)}, as before; it is not repeated until an image changes"
    if last and rejections and not reasons:
        reasons = [f"deployment {last.id} {last.outcome.value}"]
    return WorkNeed(
        kind=WorkKind.DEPLOY,
        about=site,
        subject=subject,
        reasons=tuple(reasons),
        rejected=rejected,
        busy=busy,
        interrupted=last is not None and last.ended is None and not busy,
    )


def rejected_deployment(site: str, subject: Mapping[str, str]) -> str:
    """Say why the newest deployment of a site was rejected; empty if it was not, or was about other images.

    Raises:
        DamagedError: The record of a deployment cannot be read.
    """
    records = _newest_of(site, subject)
    return _describe(records[0]) if records else ""


def _newest_of(site: str, subject: Mapping[str, str]) -> list[DeploymentRecord]:
    """Return the newest deployments, as long as they were about these images; at most as many as chances."""

    def is_same(record: DeploymentRecord) -> bool:
        deployed = {each.service: each.config for each in record.services if each.service in subject}  # and entries
        return deployed == subject

    return list(takewhile(is_same, islice(read_records(site), _CHANCES)))


def _differences(wanted: Mapping[str, DeployedImage], running: Mapping[str, RunningImage]) -> Iterator[str]:
    for service, image in sorted(wanted.items()):
        current = running.get(service)
        if current is None:
            yield f"{service} does not run yet; {image.chosen_by} is {short(image.config)}"
        elif not _is_same(current, image):
            was = short(current.config or current.image.rpartition("@")[2])
            yield f"{service} runs {was}; {image.chosen_by} is {short(image.config)}"


def _is_same(current: RunningImage, wanted: DeployedImage) -> bool:
    if current.config:
        return current.config == wanted.config
    digests = [name.rpartition("@")[2] for name in (current.image, wanted.reference)]
    return digests[0] == digests[1]  # a cluster may pull the same image from another registry


def _describe(record: DeploymentRecord) -> str:
    """Say why a deployment was rejected; empty if it was not, or has not ended."""
    for service in record.services if record.ended is not None else ():
        if service.outcome in _REJECTED:
            reason = f" ({service.reason})" if service.reason else ""
            return f"deployment {record.id} had these images, and {service.service} was {service.outcome.value}{reason}"
    return ""
