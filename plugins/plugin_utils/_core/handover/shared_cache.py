# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shared cache: images in registries that other machines have built from the same sources, and tested.

A tag proves nothing: anybody who may write to a repository can move it. An image is believed only if its labels name
the tier, the parent and exactly the wanted key parts, if its key is the digest of these parts, and if its layers are
those of the parent and at most one more, which the tier made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from ..build_key.parts import Parts, content_tag, digest_key, recorded_parts
from ..chain import tags
from ..chain.names import split_registry
from ..chain.tier import Tier
from ..engine.inspection import Identity
from ..errors import TierwrightError
from ..image import labels
from ..transports.registries import Registries
from .published_image import PublishedImage, read_published

#: Digests the current state of the sources that a tier's role used, given the names of their key parts.
DigestSources = Callable[[str, Sequence[str]], Parts]


def sources_tag(parts: Parts) -> str:
    """Return the tag of the newest image with these key parts; the sources that its role used are ignored."""
    recorded = recorded_parts(parts)
    return tags.sources(digest_key({name: value for name, value in parts.items() if name not in recorded}))


class TestedElsewhere(msgspec.Struct, frozen=True):
    """An image that passed its tests on another machine."""

    tier: Tier
    #: ID of the image.
    image: str
    #: The ``tested-…`` tag.
    tag: str


class SharedCache:
    """Looks up images by their build keys. Errors are warnings: without an answer, a tier is built."""

    def __init__(
        self,
        registries: Registries,
        digest_sources: DigestSources,
        layers_of: Callable[[str], Sequence[str] | None],
        warn: Callable[[str], None],
    ) -> None:
        """Take what to ask. Nothing is asked yet.

        Args:
            registries: The registries.
            digest_sources: Digests the current state of recorded sources.
            layers_of: Returns the layers of an image on the engine; ``None`` if it is not there.
            warn: Called with warnings.
        """
        self._registries = registries
        self._digest_sources = digest_sources
        self._layers_of = layers_of
        self._warn = warn
        self._unreachable: set[str] = set()
        #: The images that were found, by ID.
        self.found: dict[str, PublishedImage] = {}
        #: The images that need no test.
        self.tested: list[TestedElsewhere] = []

    def find(self, tier: Tier, parts: Parts) -> Identity | None:
        """Look up an image of a tier; see :class:`.SharedImages`."""
        newest = self._read(tier, sources_tag(parts))
        if newest is None:
            return None
        stored = labels.stored_parts(newest.document.labels, tier.name) or {}
        wanted = {**parts, **self._digest_sources(tier.name, recorded_parts(stored))}
        # The tag names one image. Others were built from the same parts and different sources.
        image = newest if stored == wanted else self._read(tier, content_tag(digest_key(wanted)))
        if image is None:
            return None
        problem = next(self._list_problems(tier, wanted, image), None)
        if problem is not None:
            self._warn(f"tier {tier.name!r}: {image.name} is in the shared cache, but {problem}; it is not used")
            return None
        self.found[image.document.id] = image
        return Identity(image.document.id, image.document.labels)

    def has_passed(self, tier: Tier, image: str, tag: str) -> bool:
        """Say whether an image has a ``tested-…`` tag; see :class:`.SharedImages`."""
        tested = self._read(tier, tag) if image else None
        if tested is None or tested.document.id != image:
            return False
        self.tested.append(TestedElsewhere(tier, image, tag))
        return True

    def _list_problems(self, tier: Tier, wanted: Parts, image: PublishedImage) -> Iterator[str]:
        found, parent = image.document.labels, wanted.get("parent", "")
        stored = labels.stored_parts(found, tier.name)
        if stored is None:
            yield f"its label names the tier {found.get(labels.TIER)!r}"
        elif stored != wanted or found.get(labels.KEY) != digest_key(wanted):
            yield "its labels have a different build key"
        elif found.get(labels.PARENT, "") != parent:
            yield f"it is based on {found.get(labels.PARENT) or 'no image'}, expected {parent or 'no image'}"
        if parent:
            known = self.found.get(parent)
            below = known.document.layers if known else self._layers_of(parent)
            own = len(image.document.layers) - len(below or ())
            if below is None or image.document.layers[: len(below)] != tuple(below) or own not in {0, 1}:
                yield "its layers are not those of its parent and one more"
            elif own and (step := image.document.layer_steps[-1]) and step.tier != tier.name:
                yield f"its last layer was made by {step.tier or 'something else'}"

    def _read(self, tier: Tier, tag: str) -> PublishedImage | None:
        host, repository = split_registry(tier.image) or ("", "")
        if not host or host in self._unreachable:
            return None
        try:
            return read_published(self._registries.reader(host), repository, tag)
        except TierwrightError as error:
            self._unreachable.add(host)
            self._warn(f"the shared cache is not used: {error}")
            return None
