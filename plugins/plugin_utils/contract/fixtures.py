# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fixtures that a tier's tests ask for, and what a report says of containers when a test fails."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from testinfra.host import Host

from ..engine.engine import connect
from ..errors import TierwrightError
from ..foreign import printable_lines
from .bed import Bed, ImageUnderTest
from .started import Started

#: Makes a container of the image under test, or of a neighbour; see :meth:`.bed.Bed.start`.
Start = Callable[..., Started]

#: Lines of a container's log that a failing test's report shows.
LOG_LINES = 30
LOG_HEADING = "log of "

_bed_key = pytest.StashKey[Bed]()
_online_key = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def _bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    option, stash = request.config.option, request.session.stash
    with _told_to_testers():
        engine = connect()
        bed = Bed(
            engine,
            option.image,
            tier=option.tier,
            neighbours=dict(_neighbour(each) for each in option.neighbour),
            run=option.tier_run,
            online=lambda: stash.get(_online_key, False),
        )
    stash[_bed_key] = bed
    try:
        yield bed
    finally:
        with _told_to_testers():
            bed.close()
        engine.close()


@pytest.fixture(scope="session")
def host(_bed: Bed) -> Host:
    """The testinfra ``Host``: the image's files and programs, as root, in an idle container without a network."""
    return _bed.host()


@pytest.fixture(scope="session")
def image(_bed: Bed) -> ImageUnderTest:
    """The image under test: ``id``, ``tier``, ``labels``, ``config``, ``layers``."""
    return _bed.image


@pytest.fixture
def start(_bed: Bed) -> Iterator[Start]:
    """Start the image under test or a neighbour, as users start it; it ends with the test."""
    mine: list[Started] = []

    def start(tier: str | None = None, **how: Any) -> Started:
        with _told_to_testers():
            mine.append(_bed.start(tier, **how))
        return mine[-1]

    yield start
    with _told_to_testers():
        for each in reversed(mine):
            _bed.end(each)


@pytest.fixture(scope="session")
def start_once(_bed: Bed) -> Start:
    """The same for fixtures that several tests share: what it starts ends with the session."""

    def start(tier: str | None = None, **how: Any) -> Started:
        with _told_to_testers():
            return _bed.start(tier, **how)

    return start


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let a test that is marked ``network`` reach what is outside."""
    item.session.stash[_online_key] = item.get_closest_marker("network") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the last lines of each container's log into a failing test's report, while the containers are there."""
    report = yield
    if report.failed:
        report.sections.extend(logs(item.session))
    return report


def logs(session: pytest.Session) -> list[tuple[str, str]]:
    """The last lines of each container's log that a session has started and not ended, with a heading each."""
    bed = session.stash.get(_bed_key, None)
    return [] if bed is None else [(f"{LOG_HEADING}{each.alias}", _log(each)) for each in bed.started]


def _log(started: Started) -> str:
    try:
        code = started.exit_code
        end = "" if code is None else f"\n(ended with exit status {code})"
        return printable_lines(started.logs(LOG_LINES)).rstrip() + end
    except TierwrightError as error:
        return str(error)


def _neighbour(given: str) -> tuple[str, str]:
    """Read an option; a neighbour without an image is one that the gate has none of."""
    name, _, reference = given.partition("=")
    if not name or "=" not in given:
        pytest.fail(f"--neighbour is {given!r}; expected NAME=IMAGE", pytrace=False)
    return name, reference


@contextmanager
def _told_to_testers() -> Iterator[None]:
    """Turn our errors into a failed test with the same words and no traceback."""
    try:
        yield
    except TierwrightError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
