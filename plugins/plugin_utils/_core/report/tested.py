# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The results of the tests of a tier: of its images in use, of each release, and of the build that failed last.

The gate notes the results of each image in the records of this user. If a tier was built by somebody else, only the
status may know how many tests ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from ..custody.gate_facts import CONTRACT, OWN, GateFacts, SuiteFolder, noted_gate, noted_rejection
from ..custody.record_store import LocalRecords
from ..errors import DamagedError
from ..state.status import FAILED as RUN_FAILED
from ..state.status import Ended, Standing

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class ReportedTest(msgspec.Struct, frozen=True):
    """The result of one test."""

    #: ``roles/web/tests/test_site.py::test_login``; empty if no test was running.
    test: str
    #: ``passed``, ``failed`` or ``skipped``.
    result: str
    #: The tier whose role has the test, and the team that owns it; ``None`` if they are not known.
    tier: str | None
    team: str | None
    #: ``own``, or ``contract`` of an ancestor.
    kind: str
    #: How long it took; ``None`` if it is not known.
    seconds: float | None = None
    #: Why it failed; empty if it passed.
    message: str = ""


class ImageTests(msgspec.Struct, frozen=True):
    """The results of the tests of one image."""

    passed: int
    failed: int
    skipped: int
    #: RFC 3339 time of the end.
    when: str
    #: ID of the run.
    run: str
    #: Failed tests first. Tests that passed are missing if only their number is known.
    results: list[ReportedTest] = msgspec.field(default_factory=list)
    #: IDs of the images that the tests used, by tier.
    neighbours: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def ran(self) -> int:
        """Number of tests that ran."""
        return self.passed + self.failed

    @property
    def total(self) -> int:
        """Number of tests, with those that were skipped."""
        return self.ran + self.skipped

    @property
    def is_complete(self) -> bool:
        """Whether each test is listed."""
        return len(self.results) >= self.total

    @property
    def failures(self) -> list[ReportedTest]:
        """The tests that failed."""
        return [each for each in self.results if each.result == FAILED]

    @property
    def contracts(self) -> int:
        """Number of tests of ancestors."""
        return sum(each.kind == CONTRACT for each in self.results)


def passed_tests(records: LocalRecords, image: str) -> ImageTests | None:
    """Return the tests that an image passed; ``None`` if nothing is noted here."""
    try:
        facts = noted_gate(records, image)
    except DamagedError:  # the ID is not a digest: a foreign place can list anything
        return None
    return _read(facts) if facts else None


def newest_tests(
    records: LocalRecords, image: str | None, builds: Iterable[str], status: Standing | None
) -> ImageTests | None:
    """Return the newest results of a tier.

    If the tier's last run failed, these are the results of the build that failed; otherwise, those of the image in use.

    Args:
        records: The notes of the gate.
        image: ID of the image in use; ``None`` if there is none.
        builds: IDs of all images of the tier.
        status: The tier's status after the last plan and run, if there is one.
    """
    ended = status.ended if status else None
    if status is not None and ended is not None and status.state == RUN_FAILED and (ended.failures or ended.tests):
        return _rejected(records, builds, ended.run) or _of_status(ended)
    found = passed_tests(records, image) if image else None
    rejected = _rejected(records, [image], None) if image else None
    if rejected is not None and (found is None or rejected.when > found.when):
        return rejected
    return found or (_of_status(ended) if ended is not None and ended.tests and ended.image == image else None)


def _rejected(records: LocalRecords, images: Iterable[str], run: str | None) -> ImageTests | None:
    """Return the newest results with a failure of some images, of one run or of any."""
    found = []
    for image in images:
        try:
            facts = noted_rejection(records, image)
        except DamagedError:
            continue
        if facts is not None and run in {None, facts.run}:
            found.append(facts)
    return _read(max(found, key=lambda facts: facts.tested)) if found else None


def _read(facts: GateFacts) -> ImageTests:
    return ImageTests(
        passed=len(facts.passed),
        failed=len(facts.failed),
        skipped=len(facts.skipped),
        when=facts.tested,
        run=facts.run,
        results=list(_results(facts)),
        neighbours=dict(facts.neighbours),
    )


def _results(facts: GateFacts) -> Iterator[ReportedTest]:
    messages: dict[str, list[str]] = {}
    for failure in facts.failures:
        messages.setdefault(failure.test, []).append(failure.message)
    for names, result in ((facts.failed, FAILED), (facts.skipped, SKIPPED), (facts.passed, PASSED)):
        for name in names:
            owner = _owner(name, facts.folders)
            yield ReportedTest(
                test=name,
                result=result,
                tier=owner.tier if owner else None,
                team=owner.team if owner else None,
                kind=owner.kind if owner else OWN,
                seconds=facts.seconds.get(name),
                message="\n".join(messages.get(name, ())) if result == FAILED else "",
            )


def _owner(test: str, folders: Iterable[SuiteFolder]) -> SuiteFolder | None:
    """Return the tests that a test belongs to; ``None`` if an older version noted them without their folder."""
    for each in folders:
        start = f"{each.origin}:" if each.origin else f"{each.folder}/"
        if (each.origin or each.folder) and test.startswith(start):
            return each
    return None


def _of_status(ended: Ended) -> ImageTests:
    """Return what the status knows: the number of tests, and the failures."""
    failed = len({failure.test for failure in ended.failures})
    return ImageTests(
        passed=max(0, (ended.tests or 0) - failed),
        failed=failed,
        skipped=0,
        when=ended.when,
        run=ended.run,
        results=[
            ReportedTest(failure.test or "", FAILED, None, failure.owner, OWN, None, failure.message)
            for failure in ended.failures
        ],
    )
