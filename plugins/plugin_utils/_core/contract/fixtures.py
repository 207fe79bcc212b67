# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fixtures, and the file with the tests' result.

The fixtures that a tier's tests ask for, and what a report says of containers when a test fails.

Writes how a session of tests ended, for the process that started it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from ..engine.engine import connect
from ..errors import TierwrightError
from ..text import printable_lines
from .session_containers import Bed, ImageUnderTest
from .started_container import StartedContainer

#: Makes a container of the image under test, or of a neighbour; see :meth:`.session_containers.Bed.start`.
Start = Callable[..., StartedContainer]

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
    mine: list[StartedContainer] = []

    def start(tier: str | None = None, **how: Any) -> StartedContainer:
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

    def start(tier: str | None = None, **how: Any) -> StartedContainer:
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


def _log(started: StartedContainer) -> str:
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


class ResultRecorder:
    """Collects what failed, and writes it when the session is over."""

    def __init__(self, path: Path) -> None:
        """Remember where to write."""
        self._path = path
        self._began = time.monotonic()
        self._passed: list[tuple[str, float]] = []
        self._failed: list[dict[str, Any]] = []
        self._running = ""
        self._interrupted = False
        self._session: pytest.Session | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Remember the session."""
        self._session = session

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take a file that cannot be read as tests."""
        if report.failed:
            self._fail(report.nodeid, _message(report), report.sections)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Remember which test runs."""
        self._running = nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take how one part of a test ended."""
        if report.failed:
            self._fail(report.nodeid, _message(report), report.sections)
        elif report.when == "call" and report.passed:
            self._passed.append((self._named(report.nodeid), round(report.duration, 3)))

    def pytest_keyboard_interrupt(self) -> None:
        """Take which test ran when the session was interrupted; its containers are there still."""
        if self._running and self._session is not None:
            self._interrupted = True
            self._fail(self._running, "interrupted", logs(self._session))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Write it down, before anything else can hang."""
        failed = {each["test"] for each in self._failed}
        written = {
            "tests": len(self._passed) + len(failed),
            "ran": self._passed,
            "seconds": round(time.monotonic() - self._began, 3),
            "failed": self._failed,
            "interrupted": self._interrupted,
        }
        self._path.write_text(json.dumps(written))

    def _fail(self, test: str, message: str, sections: Iterable[tuple[str, str]]) -> None:
        told = [f"{name}:\n{text}" for name, text in sections if name.startswith(LOG_HEADING)]
        self._failed.append({"test": self._named(test), "message": message, "log": "\n".join(told)})

    def _named(self, test: str) -> str:
        path, separator, rest = test.partition("::")
        root = self._session.config.rootpath if self._session else Path()
        return f"{root / path}{separator}{rest}"


def _message(report: pytest.CollectReport | pytest.TestReport) -> str:
    """What a person reads first: the exception's own words, with the line that it came from."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return report.longreprtext.strip()
    return f"{crash.message} ({Path(crash.path).name}:{crash.lineno})"
