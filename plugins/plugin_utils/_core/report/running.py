# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which services run images of the chain, and what the records of this machine say about its sites."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from ..chain.names import familiar_name
from ..deployment.deployed_service import DeployedService, DeployedSites
from ..deployment.deployment_record import DeploymentRecord, recorded_sites
from ..deployment.last_deployment import find_last
from ..errors import TierwrightError
from .model import ReportDeployed, ReportTier


class ChainImages(msgspec.Struct, frozen=True):
    """The images of a chain, for finding the tier of what runs."""

    #: Position of the tier, by digest of the configuration of each of its images.
    by_config: Mapping[str, int]
    #: Position of the tier, by repository of its images.
    by_repository: Mapping[str, int]

    def find(self, config: str | None, chosen_by: str | None) -> int | None:
        """Return the position of the tier that an image belongs to; ``None`` if it belongs to none.

        Args:
            config: Digest of the image's configuration, if it is known.
            chosen_by: The name that the image was chosen by, if it is known.
        """
        if config is not None and config in self.by_config:
            return self.by_config[config]
        return self.by_repository.get(_repository(chosen_by)) if chosen_by else None


def read_deployed(
    tiers: Sequence[ReportTier], images: ChainImages, ask: Callable[[], DeployedSites] | None
) -> ReportDeployed:
    """Find out what runs of a chain. The services of a tier are added to it. Services of other images are left out.

    Args:
        tiers: All tiers.
        images: Their images.
        ask: Asks an engine or a cluster what runs; ``None`` if nothing is asked.
    """
    notes: list[str] = []
    services: list[DeployedService] = []
    asked = False
    if ask is not None:
        try:
            answer = ask()
        except TierwrightError as error:
            notes.append(f"what runs is not known: {error}")
        else:
            asked = True
            notes += answer.notes
            services = answer.services
    own = [(service, images.find(service.config, service.chosen_by)) for service in services]
    positions: dict[str, int] = {}
    for service, tier in own:
        if tier is not None:
            tiers[tier].services.append(service)
            positions[service.config or service.image] = tier
    found = [service for service, tier in own if tier is not None]
    records = [] if found else list(_records(images, notes))
    for record in records:
        for each in record.services:
            if (tier := images.find(each.config, each.chosen_by)) is not None:
                positions[each.config] = tier
    return ReportDeployed(asked, found, notes, records, positions)


def _records(images: ChainImages, notes: list[str]) -> list[DeploymentRecord]:
    found = []
    for site in recorded_sites():
        try:
            record = find_last(site)
        except TierwrightError as error:
            notes.append(str(error))
            continue
        if record and any(images.find(each.config, each.chosen_by) is not None for each in record.services):
            found.append(record)
    return found


def _repository(name: str) -> str:
    bare = name.partition("@")[0]
    repository, colon, tag = bare.rpartition(":")
    return familiar_name(repository if colon and "/" not in tag else bare)
