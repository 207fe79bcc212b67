# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan: what becomes of each tier in a run, and why."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from ..build_key.parts import Parts, content_tag, digest_key, learned, unseen
from ..build_key.rebuild_reasons import differences
from ..chain import tags
from ..chain.graph import Chain
from ..chain.tier import Tier
from ..contract.gate import passed_tag
from ..engine.inspection import Identity, Snapshot
from ..errors import ChainError
from ..image import labels

#: Reasons that are told of one tier, at most.
_LINES = 6

_NONE = "there is no image"

Found = TypeVar("Found", bound=Identity)

#: Looks an image up by reference.
Find = Callable[[str], Found | None]


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
    #: More parts: what its role was found to use is now, for each list of that that an image of it was built with.
    elsewhere: tuple[Parts, ...] = ()
    #: ID of the image that the release tag names, whosever it is; ``None`` where there is no such tag.
    was: str | None = None
    #: Whether it is built for no other reason than that its parent is.
    follows: bool = False
    #: Why an image that is kept has to be tested; empty where it passed these very tests, or there are none.
    untested: tuple[str, ...] = ()
    #: What the role of its image used although nobody looks at whether that changed.
    unseen: tuple[str, ...] = ()


def decide(
    chain: Chain,
    parts: Mapping[str, Parts],
    engine: Snapshot,
    *,
    selected: Collection[str],
    forced: Collection[str],
    elsewhere: Mapping[str, Collection[Parts]] = MappingProxyType({}),
    tests: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Decision]:
    """Decide for every tier.

    Args:
        chain: The chain.
        parts: The parts of each selected tier's key, all but ``parent``.
        engine: The engine's images.
        selected: Names of the tiers that this run may build.
        forced: Names of those that it must build.
        elsewhere: By tier, what its role was found to use is now, for each list of that that one of its images was
            built with.
        tests: By tier, the digest of the tests that its image has to pass; a tier that has none is left out.

    Returns:
        A decision for each tier, parents before children.

    Raises:
        ChainError: A selected tier's parent is not selected and has no image.
    """
    decisions: dict[str, Decision] = {}
    find, named_images = engine.find, engine.names
    for tier in chain:
        named = named_images.get(tier.image, {})
        if tier.name in selected:
            above = decisions[tier.parent] if tier.parent else None
            withdrawn = {image: tag for tag, image in named.items() if tags.is_withdrawn(tag)}
            taken = tuple(elsewhere.get(tier.name, ()))
            decision = _decide(tier, parts[tier.name], taken, above, find, withdrawn, force=tier.name in forced)
            decision = dataclasses.replace(decision, elsewhere=taken)
            if decision.action is Action.BUILD and not decision.forced and tier.name in tests:
                decision = _failed_before(decision, find) or decision
            untested = tuple(_untested(decision, tests.get(tier.name), decisions, named))
            known = _known(tier, decision.image or tier.release, find)
            decision = dataclasses.replace(decision, untested=untested, unseen=known)
        else:
            released = find_own(find, tier, tier.release)
            decision = Decision(tier, Action.LEAVE, ("not selected by --limit",), released.id if released else None, {})
        decisions[tier.name] = dataclasses.replace(decision, was=named.get(tier.tag))
    return decisions


def take(chain: Chain, engine: Snapshot, *, selected: Collection[str], tests: Collection[str]) -> dict[str, Decision]:
    """Decide to build nothing and to test what is released.

    Args:
        chain: The chain.
        engine: The engine's images.
        selected: Names of the tiers that are tested.
        tests: Names of the tiers that have tests to pass.

    Returns:
        A decision for each tier, parents before children.
    """
    decisions: dict[str, Decision] = {}
    for tier in chain:
        released = find_own(engine.find, tier, tier.release)
        was, image = engine.names.get(tier.image, {}).get(tier.tag), released.id if released else None
        asked = ("asked for",) if tier.name in tests else ()
        if tier.name not in selected:
            decision = Decision(tier, Action.LEAVE, ("not selected by --limit",), image, {}, was=was)
        elif image is None:
            decision = Decision(tier, Action.LEAVE, (f"{_NONE} {tier.release}",), None, {}, was=was)
        else:
            reason = "released" if asked else "it has no tests"
            decision = Decision(
                tier, Action.KEEP, (reason,), image, {}, released=True, forced=True, was=was, untested=asked
            )
        decisions[tier.name] = decision
    return decisions


def _known(tier: Tier, reference: str, find: Find[Identity]) -> tuple[str, ...]:
    """What the role of an image used and nobody looks at."""
    image = find(reference)
    return unseen((labels.stored_parts(image.labels, tier.name) if image else None) or {})


def find_own(find: Find[Found], tier: Tier, reference: str) -> Found | None:
    """Look an image up that must be ``tier``'s own: a label that it inherited names another tier."""
    image = find(reference)
    return image if image is not None and image.labels.get(labels.TIER) == tier.name else None


def find_built(find: Find[Found], tier: Tier, key: str) -> Found | None:
    """Look up what a build with ``key`` gives.

    The content tag says so. An image can have several of them: one whose parts changed without making another image
    keeps the label of the key that it was built with. The release's own label counts as well, should its tag be gone.
    """
    released = find_own(find, tier, tier.release)
    if released is not None and released.labels.get(labels.KEY) == key:
        return released
    return find_own(find, tier, f"{tier.image}:{content_tag(key)}")


def _decide(
    tier: Tier,
    parts: Parts,
    taken: Collection[Parts],
    above: Decision | None,
    find: Find[Identity],
    withdrawn: Mapping[str, str],
    *,
    force: bool,
) -> Decision:
    released = find_own(find, tier, tier.release)
    before = labels.stored_parts(released.labels, tier.name) if released else None
    # What the release was built with goes before what other images were.
    known = sorted(taken or ({},), key=lambda each: learned(each) != learned(before or {}))
    tell = partial(differences, before or {}, parent=tier.parent, most=_LINES)
    if above is not None and above.action is Action.BUILD:
        own = () if before is None else tuple(tell({**parts, **known[0], "parent": before.get("parent", "")}))
        reasons = (*own, f"parent {above.tier.name} is built")
        return Decision(tier, Action.BUILD, reasons, None, parts, forced=force, follows=not own and not force)
    if above is not None:
        if above.image is None:
            raise ChainError(
                f"tier {tier.name!r}: its parent {above.tier.name!r} has no image {above.tier.release}, and --limit "
                f"leaves it out; build it first, or with it: --limit {above.tier.name},{tier.name}"
            )
        parts = {**parts, "parent": above.image}
    if force:
        return Decision(tier, Action.BUILD, ("forced by tier_force",), None, parts, forced=True)
    variants = [{**parts, **each} for each in known]
    built = ((digest_key(each), find_built(find, tier, digest_key(each))) for each in variants)
    key, image = next(((key, image) for key, image in built if image is not None), ("", None))
    if released is not None and (tag := _taken_back(tier, variants, released, image, find, withdrawn)):
        reason = f"withdrawn by a rollback{_when(tag)}; change it, or -e tier_force={tier.name} to build it again"
        return Decision(tier, Action.KEEP, (reason,), released.id, parts, released=True)
    if image is not None:
        now = released is not None and released.id == image.id
        made = f"built before as {tier.image}:{content_tag(key)}, which is not the release now"
        return Decision(tier, Action.KEEP, ("nothing changed" if now else made,), image.id, parts, released=now)
    if before is None:
        reason = f"{_NONE} {tier.release}" if released is None else f"{tier.release} does not say how it came"
        return Decision(tier, Action.BUILD, (reason,), None, parts)
    reasons = tuple(tell(variants[0])) or ("this version of Tierwright makes another image of the same",)
    return Decision(tier, Action.BUILD, reasons, None, parts)


def _failed_before(decision: Decision, find: Find[Identity]) -> Decision | None:
    """Decide to test an image again that was made from the same and did not pass; ``None`` where there is none.

    Its tests may be other ones now, or have failed by chance.
    """
    tier, parts = decision.tier, decision.parts
    if tier.parent is not None and "parent" not in parts:
        return None
    for taken in decision.elsewhere or ({},):
        image = find_own(find, tier, f"{tier.image}:{tags.failed(content_tag(digest_key({**parts, **taken})))}")
        if image is not None:
            released = (each for each in decision.reasons if not each.startswith(_NONE))
            reasons = ("built before, and did not pass its tests", *released)
            return dataclasses.replace(decision, action=Action.KEEP, reasons=reasons, image=image.id, follows=False)
    return None


def _untested(
    decision: Decision, tests: str | None, others: Mapping[str, Decision], named: Mapping[str, str]
) -> Iterator[str]:
    """Say why an image that is kept has to be tested.

    Args:
        decision: What becomes of its tier.
        tests: Digest of its tests; ``None`` where it has none.
        others: What becomes of the tiers before it, its neighbours among them.
        named: Image IDs by tag, of the tier's images.
    """
    if tests is None or decision.action is not Action.KEEP:
        return
    neighbours = {name: others[name] for name in decision.tier.neighbours}
    built = [name for name, each in neighbours.items() if each.action is Action.BUILD]
    if built:
        yield from (f"neighbour {name} is built" for name in built)
        return
    tag = passed_tag(decision.image or "", tests, {name: each.image for name, each in neighbours.items()})
    passed = [each for each, image in named.items() if image == decision.image and tags.is_tested(each)]
    if tag in passed:
        return
    if any(image == decision.image and tags.is_failed(each) for each, image in named.items()):
        yield "it did not pass before"
    elif not passed:
        yield "it was not tested yet"
    elif any(tags.same_tests(tag, each) for each in passed):
        yield "its neighbours are other images"
    else:
        yield "its tests, or contracts of its ancestors, changed"


def _taken_back(
    tier: Tier,
    variants: Sequence[Parts],
    released: Identity,
    image: Identity | None,
    find: Find[Identity],
    withdrawn: Mapping[str, str],
) -> str | None:
    """Say whether a rollback took back what these parts give.

    The rollback may have taken back the tier's parent as well. Then the same sources on the former parent would be
    something new, but nobody changed anything: it counts as taken back.

    Args:
        tier: The tier.
        variants: All parts of its key, for each list of files from elsewhere that an image of the tier was built with.
        released: What its release tag names.
        image: What was built with these parts; ``None`` where nothing was.
        find: Looks an image up by reference.
        withdrawn: The tags of the tier's images that were taken back, by their IDs.

    Returns:
        The tag of what was taken back; ``None`` where nothing was.
    """
    if image is not None:
        return withdrawn.get(image.id) if image.id != released.id else None
    for each, tag in withdrawn.items():
        found = find_own(find, tier, each)
        stored = labels.stored_parts(found.labels, tier.name) if found else None
        if stored is None or variants[0].get("parent") not in {
            stored.get("parent"),
            released.labels.get(labels.PARENT),
        }:
            continue
        if any({**stored, "parent": ""} == {**parts, "parent": ""} for parts in variants):
            return tag
    return None


def _when(tag: str) -> str:
    moment = tags.moment(tag)
    return f" on {moment:%Y-%m-%d}" if moment else ""
