# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Chooses the image of a followed tier: the one that the lock file names, unless a rollback withdrew it."""

from __future__ import annotations

from collections.abc import Mapping

from ..chain import tags
from ..chain.tier import Follow, Tier
from ..engine.inspection import Identity
from ..text import short
from .own_images import Find, find_own

#: Name under which the parts of a followed tier have the ID of its locked image.
LOCKED = "locked"
#: Name under which they have the ID of the image that the run tries instead; missing in most runs.
TRIED = "tried"


def choose_locked(
    tier: Tier, follow: Follow, parts: Mapping[str, str], find: Find[Identity], named: Mapping[str, str]
) -> tuple[str, str, bool]:
    """Choose the image of a followed tier.

    Children are based on this image even if ``--limit`` excludes the tier: the lock file decides, and no tag.

    Args:
        tier: The tier.
        follow: What it follows.
        parts: ID of the locked image, and of an image that the run tries instead. The engine may lack them.
        find: Looks up an image by reference.
        named: Image IDs by tag, of the tier's images on the engine.

    Returns:
        The image's ID; why it is this one; and whether the release tag already names it.
    """
    locked = parts[LOCKED]
    if TRIED in parts:  # even if it was withdrawn here before: the question is about exactly this image
        reason = f"tries {short(parts[TRIED])}, the {tags.CANDIDATE} of {follow.image}; locked is {short(locked)}"
        return parts[TRIED], reason, False
    released = find_own(find, tier, tier.release)
    if released is None or released.id == locked:
        return locked, f"follows {follow.reference}, locked image {short(locked)}", released is not None
    withdrawn = {image: tag for tag, image in named.items() if tags.is_withdrawn(tag)}.get(locked)
    if withdrawn is None:
        reason = f"follows {follow.reference}, locked image is now {short(locked)}, released was {short(released.id)}"
        return locked, reason, False
    moment = tags.moment(withdrawn)
    when = f" on {moment:%Y-%m-%d}" if moment else ""
    reason = (
        f"the locked image {short(locked)} was withdrawn by a rollback{when}; restore the earlier chain.lock, or run "
        f"`tierwright update {tier.name}` for a newer image"
    )
    return released.id, reason, True
