# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the tests of a chain, or of one tier, went over the last releases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from .model import ReportTier
from .tested import FAILED, PASSED, SKIPPED, ImageTests


class TrendPoint(msgspec.Struct, frozen=True):
    """The tests of all images that were in use after one release, or that the last run tested."""

    #: The release; empty for results that are not released.
    tag: str
    #: RFC 3339 time; ``None`` if it is not known.
    when: str | None
    passed: int
    failed: int
    skipped: int
    #: Number of tiers whose image is new.
    tiers: int
    #: Number of images without a recorded result.
    unknown: int

    @property
    def total(self) -> int:
        """Number of tests."""
        return self.passed + self.failed + self.skipped

    def bars(self, most: int) -> list[tuple[str, str, str]]:
        """Return the parts of a bar: kind, start and width in percent. The longest bar has ``most`` tests."""
        start, parts = 0, []
        for kind, count in ((PASSED, self.passed), (SKIPPED, self.skipped), (FAILED, self.failed)):
            if count:
                parts.append((kind, _percent(start, most), _percent(count, most)))
            start += count
        return parts


def chain_trend(tiers: Sequence[ReportTier], count: int) -> list[TrendPoint]:
    """Return the tests of a chain after each of its last releases, the newest first.

    If results of failed tests are newer than the last release, they come first, without a release.
    """
    released: dict[str, dict[int, str]] = defaultdict(dict)
    times: dict[str, str | None] = {}
    for number, tier in enumerate(tiers):
        for release in tier.releases:
            if release.tag:
                released[release.tag][number] = release.image
                times[release.tag] = release.when
    results: dict[int, ImageTests | None] = {}
    points = []
    for tag in sorted(released):
        results |= {number: tiers[number].released_tests.get(image) for number, image in released[tag].items()}
        points.append(_point(tag, times[tag], results.values(), len(released[tag])))
    failed = [tier.tests for tier in tiers if tier.tests and tier.tests.failed]
    if failed:
        now = [tier.tests or results.get(number) for number, tier in enumerate(tiers)]
        points.append(_point("", max(each.when for each in failed), now, len(failed)))
    return points[: -count - 1 : -1]


def tier_trend(tier: ReportTier, count: int) -> list[TrendPoint]:
    """Return the tests of one tier's releases, as :func:`chain_trend` does."""
    return [point for point in chain_trend([tier], count) if point.total]


def _point(tag: str, when: str | None, results: Iterable[ImageTests | None], tiers: int) -> TrendPoint:
    counts: Counter[str] = Counter()
    unknown = 0
    for each in results:
        if each is None:
            unknown += 1
            continue
        counts.update({PASSED: each.passed, FAILED: each.failed, SKIPPED: each.skipped})
    return TrendPoint(tag, when, counts[PASSED], counts[FAILED], counts[SKIPPED], tiers, unknown)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f}%"
