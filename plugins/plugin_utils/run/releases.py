# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases of a chain, as the tags on an engine tell them.

Each promotion puts one ``release-…`` on the images by which the chain then differs from the release before. So a tier's
image in a release is the one with the tier's newest such tag that is not younger.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ..chain import tags
from ..chain.tier import Tier
from ..engine.snapshot import Names


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
