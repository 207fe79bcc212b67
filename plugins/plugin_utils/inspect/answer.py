# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parts that several answers have in common; each answer is plain data that JSON can hold."""

from __future__ import annotations

from dataclasses import dataclass

from . import built
from .document import Document, timestamp


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer and who made it. What is not known is ``null``."""

    #: 1 for the lowest.
    number: int
    #: ``sha256:…`` of the uncompressed layer.
    digest: str
    #: Tier, team, role, and the last commit that touched the role, as the layer's history entry names them.
    tier: str | None
    team: str | None
    role: str | None
    revision: str | None
    #: RFC 3339 time that the history says; of a tier's layer, that of its sources.
    created: str | None
    #: What made it, as the builder wrote it.
    created_by: str | None
    #: RFC 3339 time at which it was built; ``null`` where that is not known.
    built: str | None = None

    @property
    def called(self) -> str:
        """What people call it: its tier, else what made it."""
        return self.tier or f"layer {self.number}" + (f": {self.created_by}" if self.created_by else "")

    @property
    def made_by(self) -> str | None:
        """What made it: a role with its commit, else what the builder wrote; ``None`` where that is not known."""
        if self.role is None:
            return self.created_by
        return f"role {self.role}" + (f" at {self.revision}" if self.revision else "")


def layers(document: Document) -> list[Layer]:
    """All layers of an image, the lowest first."""
    return [
        Layer(
            number=number,
            digest=digest,
            tier=step.tier if step else None,
            team=step.team if step else None,
            role=step.role if step else None,
            revision=step.revision if step else None,
            created=timestamp(step.created) if step else None,
            created_by=(step.created_by or None) if step else None,
            built=built.of_layer(digest, step),
        )
        for number, (digest, step) in enumerate(zip(document.layers, document.makers, strict=True), 1)
    ]


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package that came, went, or has another version."""

    name: str
    architecture: str
    #: Version before; ``null`` for a package that came.
    before: str | None
    #: Version after; ``null`` for a package that went.
    after: str | None


def package_changes(before: dict[str, str], after: dict[str, str]) -> list[PackageChange]:
    """Compare two sets of packages, by name."""
    return [
        PackageChange(*_split(key), before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _split(key: str) -> tuple[str, str]:
    name, _, architecture = key.rpartition(":")
    return name, architecture
