# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a report says, before it has a form."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..contract.matrix import Changes, Matrix
from ..inspect.layers import LayerContent
from ..inspect.outdated import Outdated
from ..inspect.releases import Release
from ..inspect.waste import Waste
from ..run.standing import Standing

#: States of a tier that somebody has to look at, the worst first. Every other one is fine.
FAILED, NOT_REACHED, STALE, ABSENT = "failed", "not reached", "stale", "no image"
STATES = (FAILED, NOT_REACHED, ABSENT, STALE)


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package, and what last changed it."""

    name: str
    architecture: str
    version: str
    #: What the layer that last changed it is called.
    owner: str


@dataclass(frozen=True, slots=True)
class Folder:
    """How much of a tier's own layers lies in a folder."""

    path: str
    files: int
    #: Bytes.
    size: int


@dataclass(frozen=True, slots=True)
class Touched:
    """A file of a lower tier that a tier changes, writes again, or removes."""

    path: str
    #: ``changed``, ``repeated`` or ``removed``.
    how: str
    #: What the layer that it comes from is called.
    owner: str


@dataclass(frozen=True, slots=True)
class Content:
    """What is in an image."""

    #: Of the whole image, the lowest first.
    layers: list[LayerContent]
    #: All that are installed, by name.
    packages: list[Package]
    #: Of its own layers, the largest first.
    folders: list[Folder]
    #: By path.
    touched: list[Touched]


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is in use."""

    id: str
    names: list[str]
    #: RFC 3339 times: of its sources, as the image says, and when it was built, where that is known.
    created: str | None
    built: str | None
    #: Bytes of all layers, and of what its parent has not.
    size: int | None
    own: int | None
    #: Number of layers that its parent has not.
    own_layers: int


@dataclass(slots=True)
class Tier:
    """A tier, or an image that is none; a node of the picture."""

    name: str
    #: What its page is called, unlike any other's.
    slug: str
    team: str | None = None
    role: str | None = None
    revision: str | None = None
    #: Position of what it stands on in the list of all, which comes before it.
    parent: int | None = None
    #: What is in use; ``None`` where there is none yet.
    image: Image | None = None
    #: How it stands, where a plan or a run here has noted it.
    standing: Standing | None = None
    #: One of :data:`STATES`, or empty where it is as it should be.
    state: str = ""
    #: Why it is in that state.
    reasons: list[str] = field(default_factory=list)
    #: ``None`` where it cannot be read.
    content: Content | None = None
    #: Oldest first.
    releases: list[Release] = field(default_factory=list)
    #: Sentences about what cannot be read.
    unread: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a report says."""

    #: Name of the chain; ``None`` for images that belong to none.
    chain: str | None
    #: Where the images are: ``the engine at unix:///var/run/docker.sock``.
    place: str
    #: RFC 3339 time.
    made: str
    #: Parents before children.
    tiers: list[Tier]
    #: Of what nothing else stands on, together.
    waste: Waste
    #: ``None`` where archives were not asked.
    outdated: Outdated | None
    #: The newest compatibility matrix and what changed since the one before; ``None`` where there is none.
    matrix: Matrix | None
    changes: Changes | None
    #: Sentences about what the whole report lacks.
    missing: list[str]
