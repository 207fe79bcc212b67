# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Releases as tags, and promotion to them.

The releases of a chain, as the tags on an engine tell them.

Each promotion puts one ``release-…`` on the images by which the chain then differs from the release before. So a tier's
image in a release is the one with the tier's newest such tag that is not younger.

Promotion: release tags move, for the tiers whose branch passed, all or none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
        """Read them from all names on the engine."""
        self._names = names
        self._of = {
            each: sorted(tag for tag in names.get(each, ()) if tags.is_release(tag))
            for each in dict.fromkeys(repositories)
        }
        #: All releases in which one of the tiers came out anew, the oldest first.
        self.all: tuple[str, ...] = tuple(sorted({tag for own in self._of.values() for tag in own}))

    def at(self, repository: str, release: str) -> str | None:
        """ID of the image in ``release``; ``None`` where the tier came later."""
        own = self._of[repository]
        index = bisect_right(own, release)
        return self._names[repository][own[index - 1]] if index else None

    def newest(self, repository: str) -> str | None:
        """ID of the image in the newest release; ``None`` where the tier never was in one."""
        return self.at(repository, self.all[-1]) if self.all else None

    def named(self, repository: str, tag: str) -> str | None:
        """ID of the image that a tag names; ``None`` where there is no such tag."""
        return self._names.get(repository, {}).get(tag)

    def notes(self, repository: str, image: str) -> Iterator[str]:
        """Yield the tags that this project noted on an image; one without any is not ours."""
        named = self._names.get(repository, {})
        return (tag for tag, found in named.items() if found == image and tags.is_bookkeeping(tag))

    def current(self, tiers: Iterable[Tier]) -> str | None:
        """The newest release whose images the release tags of ``tiers`` name; ``None`` where they match none."""
        now = {tier.image: self.named(tier.image, tier.tag) for tier in tiers}
        for release in reversed(self.all):
            at = {repository: self.at(repository, release) for repository in now}
            if all(image in {None, now[repository]} for repository, image in at.items()):
                return release
        return None

    def next(self, moment: datetime) -> str:
        """Tag of a release made at ``moment``, or right after the newest one, should a clock have gone back."""
        newest = tags.moment(self.all[-1]) if self.all else None
        return tags.release(moment if newest is None else max(moment, newest + timedelta(seconds=1)))


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a promotion did."""

    #: The tag that the images of the new release got; ``None`` where no release tag moved.
    release: str | None
    #: IDs of the images that release tags name now, by tier, of the tiers that passed.
    images: Mapping[str, str]
    #: The tiers among them whose release tag moved.
    moved: tuple[Tier, ...]


def promotable(chain: Chain, passed: Mapping[str, str], failed: frozenset[str]) -> list[str]:
    """Choose the tiers whose release tag may move: they passed, and so did all of this run that depends on them.

    What depends on a tier stands on it, or was tested with it. What stands on a tier that failed may not move either:
    where the other was kept, it can have passed by itself.

    Args:
        chain: The chain.
        passed: Image IDs of the tiers of this run that were kept or sealed.
        failed: Names of the tiers that failed.
    """
    return [name for name in chain.order if name in passed and not is_held(chain, name, failed)]


def is_held(chain: Chain, name: str, failed: frozenset[str]) -> bool:
    """Say whether a tier of ``failed`` keeps ``name`` from being promoted."""
    return not failed.isdisjoint({name, *chain.dependents(name), *chain.ancestors(name)})


def promote_run(engine: Engine, journal: Journal) -> Promotion:
    """Move the release tags of all tiers of a run that may be promoted.

    Raises:
        RunError: A release tag, of one of them or of what they stand on, names another image than the plan saw.
        EngineError: An image is gone, or the engine refused. Nothing moved then.
    """
    chain, planned = read_plans(journal)
    ends = {name: journal.outcome(name) for name, each in planned.items() if each.runs}
    kept = {
        name: each.image
        for name, each in planned.items()
        if each.action is Action.KEEP and each.image and not each.untested
    }
    sealed = {name: end.image for name, end in ends.items() if end is not None and end.image}
    chosen = {name: (kept | sealed)[name] for name in promotable(chain, kept | sealed, frozenset(ends) - set(sealed))}
    names = engine.images.snapshot().names
    known = {image for named in names.values() for image in named.values()}
    for image in set(chosen.values()) - known:
        engine.images.get(image)
    _check_unmoved(chain, planned, chosen, names)
    moving = {name: image for name, image in chosen.items() if planned[name].was != image}
    if not moving:
        return Promotion(None, chosen, ())
    release, moves = plan_moves(chain, moving, names, datetime.now(UTC))
    move_all(engine, next(iter(planned.values())).chain, moves)
    return Promotion(release, chosen, tuple(chain[name] for name in moving))


def plan_moves(chain: Chain, moving: Mapping[str, str], names: Names, moment: datetime) -> tuple[str, list[Move]]:
    """Say which tags move when a new release is made.

    It gets its tag wherever it differs from the newest release: where a release tag moves, and where a rollback since
    moved one that stays now.

    Args:
        chain: The chain.
        moving: Image IDs of the tiers whose release tag moves.
        names: Image IDs by tag, by repository.
        moment: Now.

    Returns:
        The new release's tag, and the moves.
    """
    releases = Releases((tier.image for tier in chain), names)
    release = releases.next(moment)
    stays = {
        tier.image: now for tier in chain if (now := releases.named(tier.image, tier.tag)) and tier.name not in moving
    }
    stamped = {
        **{chain[name].image: image for name, image in moving.items()},
        **{
            repository: image
            for repository, image in stays.items()
            if releases.newest(repository) != image and any(releases.notes(repository, image))
        },
    }
    return release, [
        *(Move(repository, release, None, image) for repository, image in stamped.items()),
        *release_moves(releases, [(chain[name], image) for name, image in moving.items()]),
    ]


def release_moves(releases: Releases, moving: Sequence[tuple[Tier, str]]) -> Iterator[Move]:
    """Yield the moves of release tags, each to an image given, and of the tags that follow them."""
    for tier, _image in moving:
        now = releases.named(tier.image, tier.tag)
        if now is not None:
            yield Move(tier.image, tags.PREVIOUS, releases.named(tier.image, tags.PREVIOUS), now)
    for tier, image in moving:
        yield Move(tier.image, tier.tag, releases.named(tier.image, tier.tag), image)
        for tag in releases.notes(tier.image, image):
            if tags.is_withdrawn(tag):
                yield Move(tier.image, tag, image, None)


def _check_unmoved(chain: Chain, planned: Mapping[str, Planned], chosen: Iterable[str], names: Names) -> None:
    concerned = {each for name in chosen for each in (name, *chain.ancestors(name))}
    for tier in chain:
        was, now = planned[tier.name].was, names.get(tier.image, {}).get(tier.tag)
        if tier.name in concerned and was != now:
            raise RunError(
                f"tier {tier.name!r}: {tier.release} named {was or 'no image'} when this run was planned, and names "
                f"{now or 'no image'} now: somebody else moved it. Nothing is promoted; start the playbook again"
            )
