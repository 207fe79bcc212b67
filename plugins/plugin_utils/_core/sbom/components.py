# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The packages of an image, by the layers that added, changed or removed them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from ..errors import NotFoundError
from ..layer_index.entries import InstalledPackage
from ..layer_index.merged_files import ChangeKind
from .distribution import Distribution


class Owner(msgspec.Struct, frozen=True):
    """Who made a layer. Unknown values are ``None``."""

    #: Name for output: the tier, otherwise the number of the layer with the command that made it.
    called: str
    tier: str | None
    team: str | None
    role: str | None
    revision: str | None
    #: Digest of its layer; ``None`` for a tier that has no layer of its own, or took an image of others.
    layer: str | None

    def known(self) -> Iterator[tuple[str, str]]:
        """Yield the names and values of what documents say about it."""
        for name in ("tier", "team", "role", "revision", "layer"):
            if value := getattr(self, name):
                yield name, value


class Component(msgspec.Struct, frozen=True):
    """A package, and what a layer did to it."""

    #: ``dpkg``, ``apk`` or ``rpm``.
    manager: str
    package: InstalledPackage
    #: ``added``, ``changed`` or ``removed``.
    change: ChangeKind
    #: Version before, for a changed package.
    before: str | None
    #: Who did it.
    owner: Owner


class Part(msgspec.Struct, frozen=True):
    """What one layer did to the packages.

    A tier without a layer of its own is a part, too. A base that was pulled is one part with all layers of that image.
    """

    owner: Owner
    #: RFC 3339 time from the history; ``None`` if it is not recorded.
    created: str | None
    #: Digests of the layers below it, the lowest first.
    below: tuple[str, ...]
    #: Digests of its own layers, the lowest first.
    layers: tuple[str, ...]
    #: The distribution of the image up to this part.
    distribution: Distribution
    #: Packages that it added or changed, by name.
    components: tuple[Component, ...]
    #: Packages that it removed, by name.
    removed: tuple[Component, ...]
    #: One sentence for each package database of its layers that could not be read.
    unread: tuple[str, ...]

    @property
    def chain(self) -> str:
        """Digest of its layers and all layers below it, and of the tier. Other parts have other digests."""
        lines = (*self.below, *self.layers, self.owner.tier or "")
        return "sha256:" + hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


class ImageComponents(msgspec.Struct, frozen=True):
    """The packages of an image."""

    #: ID of the image, the digest of its configuration.
    id: str
    #: The tier of the image; otherwise its title or its name, without a tag.
    name: str
    #: RFC 3339 time; ``None`` if it is not recorded.
    created: str | None
    #: ID of the parent's image; ``None`` if it is not recorded.
    parent: str | None
    #: The lowest first.
    parts: tuple[Part, ...]
    #: What is installed at the end, by name, with what its owner did to it.
    installed: tuple[Component, ...]

    @property
    def distribution(self) -> Distribution:
        """The distribution of the image."""
        return self.parts[-1].distribution if self.parts else Distribution()

    @property
    def unread(self) -> tuple[str, ...]:
        """One sentence for each package database that could not be read."""
        return tuple(sentence for part in self.parts for sentence in part.unread)

    def part_of(self, tier: str) -> Part:
        """Return the part of a tier.

        Raises:
            NotFoundError: The image has no such tier.
        """
        for part in self.parts:
            if part.owner.tier == tier:
                return part
        tiers = ", ".join(part.owner.tier for part in self.parts if part.owner.tier)
        raise NotFoundError(f"image {self.name} has no tier {tier!r}; it has {tiers or 'no tier of Tierwright'}")

    def below(self, part: Part) -> Part | None:
        """Return the part that a part is based on; ``None`` for the lowest."""
        number = self.parts.index(part)
        return self.parts[number - 1] if number else None
