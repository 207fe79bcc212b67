# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One tier: a host of the inventory, as the rest of the library sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .cage import Cage


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A base made from a Debian archive with mmdebstrap."""

    #: Code name or suite: ``bookworm``.
    suite: str
    #: Archive sections.
    components: tuple[str, ...] = ("main",)
    #: Packages on top of the essential ones and apt.
    packages: tuple[str, ...] = ()
    #: The archive's address; ``None`` takes the one that this machine's apt is configured for.
    mirror: str | None = None
    #: The same for the security archive.
    security_mirror: str | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """A base unpacked from a root file system archive."""

    #: Path of a tar archive, plain or compressed (gzip, bzip2, xz).
    archive: str
    #: ``sha256:`` and 64 hexadecimal digits, of the archive as it lies there.
    checksum: str


@dataclass(frozen=True, slots=True)
class Pull:
    """A base that is somebody's image, named by digest."""

    #: ``name@sha256:…``.
    reference: str


Source = Bootstrap | Import | Pull


@dataclass(frozen=True, slots=True)
class Tier:
    """One image of the chain: who owns it, what it stands on, how it is named.

    Exactly one of ``parent`` and ``source`` is set; ``role`` is set if and only if ``parent`` is.
    """

    #: The inventory host.
    name: str
    #: The inventory group that owns the tier.
    team: str
    #: Repository name of its images, without a tag.
    image: str
    #: The release tag that promotion moves.
    tag: str
    #: The tier this one stands on; ``None`` for a base.
    parent: str | None = None
    #: The role as the inventory names it; ``None`` for a base.
    role: str | None = None
    #: Where a base comes from.
    source: Source | None = None
    #: Tiers whose images its tests run with.
    neighbours: tuple[str, ...] = ()
    #: What its build container may do; of no meaning for a base.
    cage: Cage = field(default_factory=Cage)
    #: Patterns of paths that its layer leaves out, besides those that every layer does.
    drop: tuple[str, ...] = ()
    #: Patterns of paths that its layer has as the build left them.
    keep: tuple[str, ...] = ()
    #: The latest time in its layer, in seconds since 1970, where the tier says so itself.
    epoch: int | None = None
    #: Files of tasks that run before its role, and after it.
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def release(self) -> str:
        """The reference that users pull: ``httpd-php:latest``."""
        return f"{self.image}:{self.tag}"
