# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the releases of a chain from image tags, and promotes the tiers whose branch passed.

Each promotion adds a tag ``release-…``, but only to the images that are not in the release before. To find a tier's
image in a release, take its newest ``release-…`` tag that is not newer than this release.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from ..chain import tags
from ..chain.graph import Chain
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import Names
from ..errors import RunError
from ..plan.decision import Action
from ..state.journal import Journal
from ..state.plan_records import Planned, read_plans
from .tag_transaction import Move, move_all


class Releases:
    """The releases of some tiers, by the repositories of their images."""

    def __init__(self, repositories: Iterable[str], names: Names) -> None:
        """Read the releases from the image names on the engine."""
        self._names = names
        self._tags = {
            repository: sorted(tag for tag in names.get(repository, ()) if tags.is_release(tag))
            for repository in dict.fromkeys(repositories)
        }
        #: All releases in which one of the tiers got a new image, the oldest first.
        self.all: tuple[str, ...] = tuple(sorted({tag for own_tags in self._tags.values() for tag in own_tags}))

    def at(self, repository: str, release: str) -> str | None:
        """Return the ID of the image in ``release``; ``None`` if the tier was first released later."""
        own_tags = self._tags[repository]
        index = bisect_right(own_tags, release)
        return self._names[repository][own_tags[index - 1]] if index else None

    def newest(self, repository: str) -> str | None:
        """Return the ID of the image in the newest release; ``None`` if the tier was never released."""
        return self.at(repository, self.all[-1]) if self.all else None

    def named(self, repository: str, tag: str) -> str | None:
        """Return the ID of the image that a tag names; ``None`` if there is no such tag."""
        return self._names.get(repository, {}).get(tag)

    def notes(self, repository: str, image: str) -> Iterator[str]:
        """Yield the bookkeeping tags of an image. An image without them was not made by Tierwright."""
        named = self._names.get(repository, {})
        return (tag for tag, image_id in named.items() if image_id == image and tags.is_bookkeeping(tag))

    def current(self, tiers: Iterable[Tier]) -> str | None:
        """Return the newest release that the release tags of ``tiers`` match; ``None`` if they match no release."""
        now = {tier.image: self.named(tier.image, tier.tag) for tier in tiers}
        for release in reversed(self.all):
            at = {repository: self.at(repository, release) for repository in now}
            if all(image in {None, now[repository]} for repository, image in at.items()):
                return release
        return None

    def next(self, moment: datetime) -> str:
        """Return the tag of a release made at ``moment``. If a clock was set back, it comes after the newest one."""
        newest = tags.moment(self.all[-1]) if self.all else None
        return tags.release(moment if newest is None else max(moment, newest + timedelta(seconds=1)))


class Promotion(msgspec.Struct, frozen=True):
    """The result of a promotion."""

    #: The tag of the new release; ``None`` if no release tag moved.
    release: str | None
    #: By tier, the IDs of the images that release tags name now; only tiers that passed.
    images: Mapping[str, str]
    #: The tiers whose release tag moved.
    moved: tuple[Tier, ...]


def promotable(chain: Chain, passed: Mapping[str, str], failed: frozenset[str]) -> list[str]:
    """Choose the tiers whose release tag may move.

    They passed, and so did every tier of this run that depends on them: their descendants, and the tiers that are
    tested with one of these. Descendants of a failed tier do not move either, even if they were kept and passed their
    own tests.

    Args:
        chain: The chain.
        passed: By tier, the image IDs of the tiers of this run that were kept or built.
        failed: Names of the tiers that failed.

    Returns:
        Names of the tiers, parents before children.
    """
    return [name for name in chain.order if name in passed and not is_held(chain, name, failed)]


def is_held(chain: Chain, name: str, failed: frozenset[str]) -> bool:
    """Say whether the failure of a tier in ``failed`` prevents the promotion of ``name``."""
    return not failed.isdisjoint({name, *chain.dependents(name), *chain.ancestors(name)})


#: Called before tags move, with image IDs by tier, and the tiers whose tag will move. An error prevents the promotion.
#: Followed tiers are not included.
Prepare = Callable[[Mapping[str, str], Collection[str]], object]


def promote_run(engine: Engine, journal: Journal, prepare: Prepare = lambda _images, _moving: None) -> Promotion:
    """Move the release tags of all tiers of a run that may be promoted.

    Args:
        engine: The engine.
        journal: The journal of the run.
        prepare: Prepares the promotion, or rejects it.

    Raises:
        RunError: The release tag of one of these tiers, or of an ancestor, has moved since the plan.
        EngineError: An image was removed, or the engine rejected a request. No tag moved.
    """
    chain, planned = read_plans(journal)
    outcomes = {name: journal.outcome(name) for name, plan in planned.items() if plan.runs}
    kept = {
        name: plan.image
        for name, plan in planned.items()
        if plan.action is Action.KEEP and plan.image and not plan.untested
    }
    accepted = {name: outcome.image for name, outcome in outcomes.items() if outcome is not None and outcome.image}
    passed, failed = kept | accepted, frozenset(outcomes) - set(accepted)
    chosen = {name: passed[name] for name in promotable(chain, passed, failed)}
    names = engine.images.snapshot().names
    existing = {image for named in names.values() for image in named.values()}
    for image in set(chosen.values()) - existing:
        engine.images.get(image)
    _check_unmoved(chain, planned, chosen, names)
    moving = {name: image for name, image in chosen.items() if planned[name].was != image}
    own = {name: image for name, image in chosen.items() if chain[name].followed is None}
    prepare(own, moving.keys() & own.keys())
    if not moving:
        return Promotion(None, chosen, ())
    release, moves = plan_moves(chain, moving, names, datetime.now(UTC))
    move_all(engine, next(iter(planned.values())).chain, moves)
    return Promotion(release, chosen, tuple(chain[name] for name in moving))


def plan_moves(chain: Chain, moving: Mapping[str, str], names: Names, moment: datetime) -> tuple[str, list[Move]]:
    """Plan which tags move for a new release.

    All images that differ from the newest release get the new release's tag: those whose release tag moves now, and
    those whose release tag was moved by a rollback since.

    Args:
        chain: The chain.
        moving: By tier, the ID of the image that its release tag moves to.
        names: Image IDs by tag, by repository.
        moment: The current time.

    Returns:
        The new release's tag, and the moves.
    """
    releases = Releases((tier.image for tier in chain), names)
    release = releases.next(moment)
    unmoved = {
        tier.image: image
        for tier in chain
        if (image := releases.named(tier.image, tier.tag)) and tier.name not in moving
    }
    tagged = {
        **{chain[name].image: image for name, image in moving.items()},
        **{
            repository: image
            for repository, image in unmoved.items()
            if releases.newest(repository) != image and any(releases.notes(repository, image))
        },
    }
    return release, [
        *(Move(repository, release, None, image) for repository, image in tagged.items()),
        *release_moves(releases, [(chain[name], image) for name, image in moving.items()]),
    ]


def release_moves(releases: Releases, moving: Sequence[tuple[Tier, str]]) -> Iterator[Move]:
    """Yield the moves of release tags to the given images, and of the tags ``previous`` and ``withdrawn-…``."""
    for tier, _image in moving:
        current = releases.named(tier.image, tier.tag)
        if current is not None:
            yield Move(tier.image, tags.PREVIOUS, releases.named(tier.image, tags.PREVIOUS), current)
    for tier, image in moving:
        yield Move(tier.image, tier.tag, releases.named(tier.image, tier.tag), image)
        for tag in releases.notes(tier.image, image):
            if tags.is_withdrawn(tag):
                yield Move(tier.image, tag, image, None)


def _check_unmoved(chain: Chain, planned: Mapping[str, Planned], chosen: Iterable[str], names: Names) -> None:
    checked = {related for name in chosen for related in (name, *chain.ancestors(name))}
    for tier in chain:
        was, now = planned[tier.name].was, names.get(tier.image, {}).get(tier.tag)
        if tier.name in checked and was != now:
            raise RunError(
                f"tier {tier.name!r}: {tier.release} named {was or 'no image'} when this run was planned, and names "
                f"{now or 'no image'} now: a different run or user moved it. Nothing is promoted; start the playbook "
                "again"
            )
