# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides what a run does with each tier, and why."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import msgspec

from ..build_key.parts import Parts, content_tag, digest_key, recorded_parts, unseen
from ..build_key.rebuild_reasons import differences
from ..chain import tags
from ..chain.graph import Chain
from ..chain.tier import Tier
from ..contract.role_tests import passed_tag
from ..engine.inspection import Identity, Snapshot
from ..errors import ChainError
from ..image import labels
from .locked_image import LOCKED, choose_locked
from .own_images import Find, find_built, find_own
from .shared_images import SharedImages

#: The largest number of reasons that are listed for one tier.
_MAX_REASONS = 6

NO_IMAGE = "there is no image"
_NOT_SELECTED = "not selected by --limit"


class Action(enum.StrEnum):
    """What a run does with a tier."""

    #: An image with this key exists.
    KEEP = "keep"
    #: The tier is built.
    BUILD = "build"
    #: The run is limited to other tiers.
    LEAVE = "leave"


class Decision(msgspec.Struct, frozen=True):
    """What a run does with one tier."""

    tier: Tier
    action: Action
    #: Why, in words.
    reasons: tuple[str, ...]
    #: ID of the tier's image; ``None`` if it will be built or does not exist.
    image: str | None
    #: The parts of the tier's build key, without ``parent`` if the parent will be built.
    parts: Parts
    #: Whether the release tag already names ``image``.
    released: bool = False
    #: Whether the tier is built even if an image with its key exists.
    forced: bool = False
    #: Recorded parts of the key, with their current digests: one mapping for each list of sources that an image of the
    #: tier was built with.
    elsewhere: tuple[Parts, ...] = ()
    #: ID of the image that the release tag names, even if it is not this tier's; ``None`` if there is no such tag.
    was: str | None = None
    #: Whether the only reason to build the tier is that its parent is built.
    follows: bool = False
    #: Why a kept image must be tested; empty if it passed exactly these tests, or if there are none.
    untested: tuple[str, ...] = ()
    #: Sources that the role of its image used, but whose changes cannot be detected.
    unseen: tuple[str, ...] = ()


#: Exit status of a run in check mode that would build something. Ansible's own are sums of 1, 2, 4 and 8, or above 98.
WOULD_BUILD = 16


def exit_code(decisions: Iterable[Decision]) -> int:
    """Return the exit status that says whether a run with these decisions would build a tier."""
    return WOULD_BUILD if any(decision.action is Action.BUILD for decision in decisions) else 0


def decide(
    chain: Chain,
    parts: Mapping[str, Parts],
    engine: Snapshot,
    *,
    selected: Collection[str],
    forced: Collection[str],
    elsewhere: Mapping[str, Collection[Parts]] = MappingProxyType({}),
    tests: Mapping[str, str] = MappingProxyType({}),
    shared: SharedImages | None = None,
) -> dict[str, Decision]:
    """Decide what a run does with every tier.

    Args:
        chain: The chain.
        parts: The parts of each selected tier's key, without ``parent``. A followed tier has the ID of its locked image
            instead, even if it is not selected, as :data:`.LOCKED`, and of an image that the run tries, as
            :data:`.TRIED`. The engine may lack these images.
        engine: The engine's images.
        selected: Names of the tiers that this run may build.
        forced: Names of the tiers that this run must build.
        elsewhere: By tier, its recorded parts with their current digests: one mapping for each list of sources that
            one of its images was built with.
        tests: By tier, the digest of the tests that its image must pass. Tiers without tests are missing.
        shared: Images that were built elsewhere; ``None`` if the run takes none.

    Returns:
        A decision for each tier, parents before children.

    Raises:
        ChainError: A selected tier's parent is not selected and has no image.
    """
    decisions: dict[str, Decision] = {}
    find, named_images = engine.find, engine.names
    for tier in chain:
        named = named_images.get(tier.image, {})
        if tier.followed is not None:
            image, reason, current = choose_locked(tier, tier.followed, parts[tier.name], find, named)
            decision = Decision(tier, Action.KEEP, (reason,), image, {}, released=current)
            if tier.name not in selected:
                decision = Decision(tier, Action.LEAVE, (_NOT_SELECTED,), image, {})
        elif tier.name in selected:
            parent = decisions[tier.parent] if tier.parent else None
            withdrawn = {image: tag for tag, image in named.items() if tags.is_withdrawn(tag)}
            recorded = tuple(elsewhere.get(tier.name, ()))
            decision = _decide(tier, parts[tier.name], recorded, parent, find, withdrawn, force=tier.name in forced)
            decision = msgspec.structs.replace(decision, elsewhere=recorded)
            if decision.action is Action.BUILD and not decision.forced and tier.name in tests:
                decision = _retest_failed(decision, find) or decision
            if shared is not None:
                decision = _take_shared(decision, shared) or decision
            untested = tuple(_explain_tests(decision, tests.get(tier.name), decisions, named, shared))
            undetectable = _list_unseen(tier, decision.image or tier.release, find)
            decision = msgspec.structs.replace(decision, untested=untested, unseen=undetectable)
        else:
            released = find_own(find, tier, tier.release)
            decision = Decision(tier, Action.LEAVE, (_NOT_SELECTED,), released.id if released else None, {})
        decisions[tier.name] = msgspec.structs.replace(decision, was=named.get(tier.tag))
    return decisions


def decide_tests_only(
    chain: Chain,
    engine: Snapshot,
    *,
    selected: Collection[str],
    tests: Collection[str],
    locked: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Decision]:
    """Decide to build nothing, and to test the released images.

    Args:
        chain: The chain.
        engine: The engine's images.
        selected: Names of the tiers that are tested.
        tests: Names of the tiers that have tests.
        locked: By followed tier, the ID of its locked image.

    Returns:
        A decision for each tier, parents before children.
    """
    decisions: dict[str, Decision] = {}
    for tier in chain:
        released = find_own(engine.find, tier, tier.release)
        was, image = engine.names.get(tier.image, {}).get(tier.tag), released.id if released else None
        untested = ("requested",) if tier.name in tests else ()
        if tier.followed is not None:
            named = engine.names.get(tier.image, {})
            image, reason, _current = choose_locked(
                tier, tier.followed, {LOCKED: locked[tier.name]}, engine.find, named
            )
            decision = Decision(tier, Action.LEAVE, (reason,), image, {}, was=was)
        elif tier.name not in selected:
            decision = Decision(tier, Action.LEAVE, (_NOT_SELECTED,), image, {}, was=was)
        elif image is None:
            decision = Decision(tier, Action.LEAVE, (f"{NO_IMAGE} {tier.release}",), None, {}, was=was)
        else:
            reason = "released" if untested else "it has no tests"
            decision = Decision(
                tier, Action.KEEP, (reason,), image, {}, released=True, forced=True, was=was, untested=untested
            )
        decisions[tier.name] = decision
    return decisions


def _list_unseen(tier: Tier, reference: str, find: Find[Identity]) -> tuple[str, ...]:
    """List the sources that the role of an image used, but whose changes cannot be detected."""
    image = find(reference)
    return unseen((labels.stored_parts(image.labels, tier.name) if image else None) or {})


def _decide(
    tier: Tier,
    parts: Parts,
    recorded: Collection[Parts],
    parent: Decision | None,
    find: Find[Identity],
    withdrawn: Mapping[str, str],
    *,
    force: bool,
) -> Decision:
    released = find_own(find, tier, tier.release)
    before = labels.stored_parts(released.labels, tier.name) if released else None
    # The list of sources of the released image comes first.
    candidates = sorted(recorded or ({},), key=lambda sources: recorded_parts(sources) != recorded_parts(before or {}))
    describe = partial(differences, before or {}, parent=tier.parent, most=_MAX_REASONS)
    if parent is not None and parent.action is Action.BUILD:
        own = () if before is None else tuple(describe({**parts, **candidates[0], "parent": before.get("parent", "")}))
        reasons = (*own, f"parent {parent.tier.name} is built")
        return Decision(tier, Action.BUILD, reasons, None, parts, forced=force, follows=not own and not force)
    if parent is not None:
        if parent.image is None:
            raise ChainError(
                f"tier {tier.name!r}: its parent {parent.tier.name!r} has no image {parent.tier.release}, and --limit "
                f"excludes the parent; build the parent first, or build both: --limit {parent.tier.name},{tier.name}"
            )
        parts = {**parts, "parent": parent.image}
    if force:
        return Decision(tier, Action.BUILD, ("forced by tier_force",), None, parts, forced=True)
    variants = [{**parts, **sources} for sources in candidates]
    built = ((key, find_built(find, tier, key)) for key in map(digest_key, variants))
    key, image = next(((key, image) for key, image in built if image is not None), ("", None))
    if released is not None and (tag := _find_withdrawn(tier, variants, released, image, find, withdrawn)):
        reason = f"withdrawn by a rollback{_when(tag)}; change it, or -e tier_force={tier.name} to build it again"
        return Decision(tier, Action.KEEP, (reason,), released.id, parts, released=True)
    if image is not None:
        current = released is not None and released.id == image.id
        earlier = f"built before as {tier.image}:{content_tag(key)}, which is not the current release"
        reason = "nothing changed" if current else earlier
        return Decision(tier, Action.KEEP, (reason,), image.id, parts, released=current)
    if before is None:
        missing = f"{tier.release} has no label with its key parts"
        reason = f"{NO_IMAGE} {tier.release}" if released is None else missing
        return Decision(tier, Action.BUILD, (reason,), None, parts)
    reasons = tuple(describe(variants[0])) or (
        "this version of Tierwright builds a different image from the same inputs",
    )
    return Decision(tier, Action.BUILD, reasons, None, parts)


def _retest_failed(decision: Decision, find: Find[Identity]) -> Decision | None:
    """Decide to test an image with the same key again that failed its tests; ``None`` if there is no such image.

    Its tests may have changed since, or may have failed by chance.
    """
    tier, parts = decision.tier, decision.parts
    if tier.parent is not None and "parent" not in parts:
        return None
    for recorded in decision.elsewhere or ({},):
        image = find_own(find, tier, f"{tier.image}:{tags.failed(content_tag(digest_key({**parts, **recorded})))}")
        if image is not None:
            others = (reason for reason in decision.reasons if not reason.startswith(NO_IMAGE))
            reasons = ("built before, and failed its tests", *others)
            return msgspec.structs.replace(decision, action=Action.KEEP, reasons=reasons, image=image.id, follows=False)
    return None


def _take_shared(decision: Decision, shared: SharedImages) -> Decision | None:
    """Decide to take an image that was built elsewhere; ``None`` if there is none with the tier's key."""
    tier, parts = decision.tier, decision.parts
    if decision.action is not Action.BUILD or decision.forced or (tier.parent is not None and "parent" not in parts):
        return None
    image = shared.find(tier, parts)
    if image is None:
        return None
    others = (reason for reason in decision.reasons if not reason.startswith(NO_IMAGE))
    reasons = ("built elsewhere, from the shared cache", *others)
    return msgspec.structs.replace(decision, action=Action.KEEP, reasons=reasons, image=image.id, follows=False)


def _explain_tests(
    decision: Decision,
    tests: str | None,
    others: Mapping[str, Decision],
    named: Mapping[str, str],
    shared: SharedImages | None,
) -> Iterator[str]:
    """Yield the reasons why a kept image must be tested.

    Args:
        decision: What the run does with the image's tier.
        tests: Digest of the image's tests; ``None`` if there are none.
        others: The decisions for the tiers before this one, which include its neighbours.
        named: Image IDs by tag, of the tier's images.
        shared: Images that were built and tested elsewhere, if the run takes them.
    """
    if tests is None or decision.action is not Action.KEEP:
        return
    neighbours = {name: others[name] for name in decision.tier.neighbours}
    built = [name for name, neighbour in neighbours.items() if neighbour.action is Action.BUILD]
    if built:
        yield from (f"neighbour {name} is built" for name in built)
        return
    tag = passed_tag(decision.image or "", tests, {name: neighbour.image for name, neighbour in neighbours.items()})
    own_tags = [own_tag for own_tag, image in named.items() if image == decision.image]
    passed = [own_tag for own_tag in own_tags if tags.is_tested(own_tag)]
    if tag in passed or (shared is not None and shared.has_passed(decision.tier, decision.image or "", tag)):
        return
    if any(tags.is_failed(own_tag) for own_tag in own_tags):
        yield "it failed its tests before"
    elif not passed:
        yield "it was not tested yet"
    elif any(tags.same_tests(tag, other) for other in passed):
        yield "the images of its neighbours changed"
    else:
        yield "its tests, or contracts of its ancestors, changed"


def _find_withdrawn(
    tier: Tier,
    variants: Sequence[Parts],
    released: Identity,
    image: Identity | None,
    find: Find[Identity],
    withdrawn: Mapping[str, str],
) -> str | None:
    """Find out whether a rollback withdrew the image that these parts give.

    A rollback can withdraw the tier's parent too. The parts then name the earlier parent, so their key is new. But no
    source of the tier changed: the image counts as withdrawn.

    Args:
        tier: The tier.
        variants: All parts of its key, once for each list of sources that an image of the tier was built with.
        released: The image that the release tag names.
        image: The image that was built with these parts; ``None`` if there is none.
        find: Looks up an image by reference.
        withdrawn: The ``withdrawn-…`` tags of the tier's images, by image ID.

    Returns:
        The tag of the withdrawn image; ``None`` if these parts give no withdrawn image.
    """
    if image is not None:
        return withdrawn.get(image.id) if image.id != released.id else None
    for image_id, tag in withdrawn.items():
        withdrawn_image = find_own(find, tier, image_id)
        stored = labels.stored_parts(withdrawn_image.labels, tier.name) if withdrawn_image else None
        if stored is None:
            continue
        if variants[0].get("parent") not in {stored.get("parent"), released.labels.get(labels.PARENT)}:
            continue
        if any({**stored, "parent": ""} == {**parts, "parent": ""} for parts in variants):
            return tag
    return None


def _when(tag: str) -> str:
    moment = tags.moment(tag)
    return f" on {moment:%Y-%m-%d}" if moment else ""
