# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The content of a report, before it is rendered to pages."""

from __future__ import annotations

import msgspec

from ..chain.tier import Protection
from ..compatibility.variant_matrix import Changes, Matrix
from ..custody.build_facts import BuildFacts
from ..custody.custody_answer import TierCustody
from ..deployment.deployed_service import DeployedService
from ..deployment.deployment_record import DeploymentRecord
from ..packages.outdated_packages import Outdated
from ..state.status import Standing
from ..views.release_history import Release
from ..views.wasted_space import Waste
from ..watch.run_records import WatchRun
from .configured import Setting
from .content import Content
from .tested import ImageTests

#: States of a tier that need attention, the worst first. The empty state means that the tier is up to date.
FAILED, NOT_REACHED, STALE, ABSENT = "failed", "not reached", "stale", "no image"
STATES = (FAILED, NOT_REACHED, ABSENT, STALE)


class ImageInUse(msgspec.Struct, frozen=True):
    """An image that is in use."""

    id: str
    names: list[str]
    #: RFC 3339 ``created`` time of the image; for a tier, its source date.
    created: str | None
    #: RFC 3339 time at which it was built; ``None`` if it is not known.
    built: str | None
    #: Bytes of all layers.
    size: int | None
    #: Bytes of the layers that its nearest ancestor does not have.
    own: int | None
    #: Number of layers that its parent does not have.
    own_layers: int


class ReportTier(msgspec.Struct):
    """A tier, or an image that does not belong to a tier; a node of the picture."""

    name: str
    #: Unique file name of its page, without the ending.
    slug: str
    #: Whether it is a tier of the chain. Other images are shown, but not counted.
    is_tier: bool = True
    team: str | None = None
    role: str | None = None
    #: The last commit that changed the role.
    revision: str | None = None
    #: Position of its parent in the list of all tiers; the parent comes first.
    parent: int | None = None
    #: The image in use; ``None`` if there is none.
    image: ImageInUse | None = None
    #: Its status after the last plan and run on this machine; ``None`` if there was no plan.
    status: Standing | None = None
    #: One of :data:`STATES`; empty if it is up to date.
    state: str = ""
    #: Why it is in that state.
    reasons: list[str] = msgspec.field(default_factory=list)
    #: ``None`` if the image cannot be read.
    content: Content | None = None
    #: Oldest first.
    releases: list[Release] = msgspec.field(default_factory=list)
    #: One sentence for each item that could not be read.
    unread: list[str] = msgspec.field(default_factory=list)
    #: The newest results of its tests; ``None`` if no result is recorded.
    tests: ImageTests | None = None
    #: The results that its released images passed with, by image.
    released_tests: dict[str, ImageTests] = msgspec.field(default_factory=dict)
    #: The settings of its image.
    settings: list[Setting] = msgspec.field(default_factory=list)
    #: Paths that it and its ancestors protect.
    protections: list[Protection] = msgspec.field(default_factory=list)
    #: Who built its image, if this user did. Nothing about it is verified.
    built_by: BuildFacts | None = None
    #: Services that run an image of it.
    services: list[DeployedService] = msgspec.field(default_factory=list)

    @property
    def released(self) -> Release | None:
        """The release that its image in use belongs to, the first one if it was released several times.

        ``None`` if the image in use has no release tag.
        """
        found = None
        for release in reversed(self.releases):
            if self.image is not None and release.tag and release.image == self.image.id:
                found = release
            elif found is not None:
                break
        return found


class ReportCustody(msgspec.Struct, frozen=True):
    """What a policy says about the tiers."""

    #: Path and version of the policy.
    policy: str
    version: int
    #: By the position of the tier. Tiers without an image are missing.
    tiers: dict[int, TierCustody]


class ReportDeployed(msgspec.Struct, frozen=True):
    """What runs of the chain."""

    #: Whether an engine or a cluster was asked. Otherwise, only records of this machine are known.
    asked: bool
    services: list[DeployedService]
    #: What a reader should know besides.
    notes: list[str]
    #: The last deployment of each site from this machine, if it deployed an image of the chain.
    records: list[DeploymentRecord]
    #: The position of the tier, by digest of an image's configuration.
    tiers: dict[str, int]


class Facts(msgspec.Struct, frozen=True):
    """Everything that a report shows."""

    #: Name of the chain; ``None`` for images that do not belong to a chain.
    chain: str | None
    #: Where the images are: ``the engine at unix:///var/run/docker.sock``.
    place: str
    #: RFC 3339 time.
    made: str
    #: Parents before children.
    tiers: list[ReportTier]
    #: Wasted space in all images that no other image in the report is based on.
    waste: Waste
    #: ``None`` if archives were not queried.
    outdated: Outdated | None
    #: The newest compatibility matrix; ``None`` if there is none.
    matrix: Matrix | None
    #: What changed since the matrix before; ``None`` if there is no matrix.
    changes: Changes | None
    #: One sentence for each part that the whole report lacks.
    missing: list[str]
    #: The newest runs that a watcher began for the chain and for sites, the newest first.
    runs: list[WatchRun] = msgspec.field(default_factory=list)
    #: ``None`` if no policy was named.
    custody: ReportCustody | None = None
    #: ``None`` if images do not belong to a chain.
    deployed: ReportDeployed | None = None

    @property
    def counted(self) -> list[ReportTier]:
        """The tiers of the chain. If there is no chain, all images."""
        return [tier for tier in self.tiers if tier.is_tier or self.chain is None]

    @property
    def other_images(self) -> list[ReportTier]:
        """Images that are not tiers of the chain: below a tier, or based on one."""
        return [tier for tier in self.tiers if not tier.is_tier and self.chain is not None]
