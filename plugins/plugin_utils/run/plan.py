# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan: what becomes of each tier in a run, and why."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ..chain.graph import Chain
from ..chain.tier import Tier
from ..engine.images import Image
from ..errors import ChainError
from ..image import labels
from ..keys.parts import Parts, content_tag, differences, digest_key

#: Looks an image up by reference.
Find = Callable[[str], Image | None]


class Action(enum.StrEnum):
    """What a run does with a tier."""

    #: An image with this key exists.
    KEEP = "keep"
    #: The tier is built.
    BUILD = "build"
    #: The run is limited to other tiers.
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one tier."""

    tier: Tier
    action: Action
    #: Why, in words.
    reasons: tuple[str, ...]
    #: The tier's image; ``None`` where it is to be built, or does not exist.
    image: str | None
    #: The parts of its build key, without ``parent`` where the parent is to be built.
    parts: Parts
    #: Whether the release tag names ``image`` already.
    released: bool = False
    #: Whether it is built even if an image with its key exists.
    forced: bool = False


def decide(
    chain: Chain, parts: Mapping[str, Parts], find: Find, *, selected: Collection[str], forced: Collection[str]
) -> dict[str, Decision]:
    """Decide for every tier.

    Args:
        chain: The chain.
        parts: The parts of each selected tier's key, all but ``parent``.
        find: Looks an image up by reference.
        selected: Names of the tiers that this run may build.
        forced: Names of those that it must build.

    Returns:
        A decision for each tier, parents before children.

    Raises:
        ChainError: A selected tier's parent is not selected and has no image.
    """
    decisions: dict[str, Decision] = {}
    for tier in chain:
        if tier.name in selected:
            above = decisions[tier.parent] if tier.parent else None
            decisions[tier.name] = _decide(tier, parts[tier.name], above, find, force=tier.name in forced)
        else:
            released = find_own(find, tier, tier.release)
            decisions[tier.name] = Decision(
                tier, Action.LEAVE, ("not selected by --limit",), released.id if released else None, {}
            )
    return decisions


def find_own(find: Find, tier: Tier, reference: str) -> Image | None:
    """Look an image up that must be ``tier``'s own: a label that it inherited names another tier."""
    image = find(reference)
    return image if image is not None and image.labels.get(labels.TIER) == tier.name else None


def find_built(find: Find, tier: Tier, key: str) -> Image | None:
    """Look up what a build with ``key`` gives.

    The content tag says so. An image can have several of them: one whose parts changed without making another image
    keeps the label of the key that it was built with. The release's own label counts as well, should its tag be gone.
    """
    released = find_own(find, tier, tier.release)
    if released is not None and released.labels.get(labels.KEY) == key:
        return released
    return find_own(find, tier, f"{tier.image}:{content_tag(key)}")


def _decide(tier: Tier, parts: Parts, above: Decision | None, find: Find, *, force: bool) -> Decision:
    released = find_own(find, tier, tier.release)
    before = labels.stored_parts(released.labels, tier.name) if released else None
    if above is not None and above.action is Action.BUILD:
        own = () if before is None else tuple(differences({**before, "parent": ""}, {**parts, "parent": ""}))
        reasons = (*own, f"parent {above.tier.name} is built")
        return Decision(tier, Action.BUILD, reasons, None, parts, forced=force)
    if above is not None:
        if above.image is None:
            raise ChainError(
                f"tier {tier.name!r}: its parent {above.tier.name!r} has no image {above.tier.release}, and --limit "
                f"leaves it out; build it first, or with it: --limit {above.tier.name},{tier.name}"
            )
        parts = {**parts, "parent": above.image}
    key = digest_key(parts)
    if force:
        return Decision(tier, Action.BUILD, ("forced by tier_force",), None, parts, forced=True)
    image = find_built(find, tier, key)
    if image is not None:
        now = released is not None and released.id == image.id
        made = f"built before as {tier.image}:{content_tag(key)}, which is not the release now"
        return Decision(tier, Action.KEEP, ("nothing changed" if now else made,), image.id, parts, released=now)
    if before is None:
        reason = f"there is no image {tier.release}" if released is None else f"{tier.release} does not say how it came"
        return Decision(tier, Action.BUILD, (reason,), None, parts)
    return Decision(tier, Action.BUILD, tuple(differences(before, parts)), None, parts)
