# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks up the images of a tier. Images inherit labels, so each image's label is compared with the tier."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..build_key.parts import content_tag
from ..chain.tier import Tier
from ..engine.inspection import Identity
from ..image import labels

ImageT = TypeVar("ImageT", bound=Identity)

#: Looks up an image by reference.
Find = Callable[[str], ImageT | None]


def find_own(find: Find[ImageT], tier: Tier, reference: str) -> ImageT | None:
    """Look up an image; ``None`` unless it is ``tier``'s own. An inherited label names a different tier.

    An image that was made in the container of a failed build never counts, whatever somebody names it.
    """
    image = find(reference)
    if image is None or image.labels.get(labels.TIER) != tier.name or labels.RESUMED in image.labels:
        return None
    return image


def find_built(find: Find[ImageT], tier: Tier, key: str) -> ImageT | None:
    """Look up the image that a build with ``key`` would give; ``None`` if there is none.

    The content tag decides. An image can have several content tags: a rebuild with different parts can give the same
    image, and its label keeps the first key. A forced build can give a different image with the key of the release, and
    this image may not be released yet. If the content tag was removed, the label of the released image decides.
    """
    built = find_own(find, tier, f"{tier.image}:{content_tag(key)}")
    if built is not None:
        return built
    released = find_own(find, tier, tier.release)
    return released if released is not None and released.labels.get(labels.KEY) == key else None
