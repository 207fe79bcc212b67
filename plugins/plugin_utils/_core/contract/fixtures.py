# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures for the tests of tiers, container logs in reports of failed tests, and the results of a session.

This module also runs in the sandbox for tests of other teams, so it imports nothing that needs an engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from ..errors import TierwrightError
from ..text import printable_lines
from . import container_access
from .container_operations import ContainerSource, ImageUnderTest
from .session_result import SessionFailure, SessionResult
from .started_container import StartedContainer

#: Starts a container of the image under test, or of a neighbour; see ``start`` of
#: :class:`.container_operations.ContainerSource`.
Start = Callable[..., StartedContainer]

#: Number of lines of a container's log in the report of a failed test.
LOG_LINES = 30
LOG_HEADING = "log of "

#: Opens the containers of a session, from its options. The argument tells whether the current test may reach outside
#: networks.
Open = Callable[[pytest.Config, Callable[[], bool]], ContainerSource]

#: The function that opens the containers, if it is not that of :mod:`.engine_source`.
open_key = pytest.StashKey[Open]()
_containers_key = pytest.StashKey["_ContainersOfTests"]()
_online_key = pytest.StashKey[bool]()


def _engine_source() -> Open:
    """Import what the sandbox does not have."""
    source: Open = import_module(".engine_source", __package__).open_containers
    return source


class _ContainersOfTests:
    """The containers of a session, as its tests see them."""

    def __init__(self, source: ContainerSource) -> None:
        self.source = source
        #: The containers that were started and not yet removed.
        self.started: list[StartedContainer] = []
        self._containers: dict[str, Any] = {}

    def start(self, tier: str | None, options: dict[str, Any]) -> StartedContainer:
        container = self.source.start(tier, **options)
        started = StartedContainer(container)
        self._containers[container.id] = container
        self.started.append(started)
        return started

    def end(self, started: StartedContainer) -> None:
        self.started.remove(started)
        self.source.remove(self._containers.pop(started.container))


@pytest.fixture(scope="session")
def _session(request: pytest.FixtureRequest) -> Iterator[_ContainersOfTests]:
    stash = request.session.stash
    with _errors_as_failures():
        open_containers = request.config.stash.get(open_key, None) or _engine_source()
        source = open_containers(request.config, lambda: stash.get(_online_key, False))
    stash[_containers_key] = session = _ContainersOfTests(source)
    try:
        yield session
    finally:
        with _errors_as_failures():
            source.close()


@pytest.fixture(scope="session")
def host(_session: _ContainersOfTests) -> Host:
    """The testinfra ``Host``: the image's files and programs, as root, in an idle container without a network."""
    return container_access.host(_session.source.image.tier, _session.source.idle)


@pytest.fixture(scope="session")
def image(_session: _ContainersOfTests) -> ImageUnderTest:
    """The image under test: ``id``, ``tier``, ``labels``, ``config``, ``layers``."""
    return _session.source.image


@pytest.fixture
def start(_session: _ContainersOfTests) -> Iterator[Start]:
    """Start the image under test or a neighbour, as users start it. The container is removed after the test."""
    started: list[StartedContainer] = []

    def start(tier: str | None = None, **options: Any) -> StartedContainer:
        with _errors_as_failures():
            started.append(_session.start(tier, options))
        return started[-1]

    yield start
    if started:  # to end a container takes a quarter of a second
        with _errors_as_failures(), ThreadPoolExecutor(len(started)) as pool:
            list(pool.map(_session.end, started))


@pytest.fixture(scope="session")
def start_once(_session: _ContainersOfTests) -> Start:
    """Do the same for fixtures that several tests share. The containers are removed after the session."""

    def start(tier: str | None = None, **options: Any) -> StartedContainer:
        with _errors_as_failures():
            return _session.start(tier, options)

    return start


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give the containers of a test that is marked ``network`` access to outside networks."""
    item.session.stash[_online_key] = item.get_closest_marker("network") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last lines of each container's log to the report of a failed test, before the containers are removed."""
    report = yield
    if report.failed:
        report.sections.extend(logs(item.session))
    return report


def logs(session: pytest.Session) -> list[tuple[str, str]]:
    """Return the last lines of the logs of a session's containers that were not removed, each with a heading."""
    containers = session.stash.get(_containers_key, None)
    if containers is None:
        return []
    return [(f"{LOG_HEADING}{started.alias}", _log(started)) for started in containers.started]


def _log(started: StartedContainer) -> str:
    try:
        code = started.exit_code
        end = "" if code is None else f"\n(ended with exit status {code})"
        return printable_lines(started.logs(LOG_LINES)).rstrip() + end
    except TierwrightError as error:
        return str(error)


@contextmanager
def _errors_as_failures() -> Iterator[None]:
    """Turn our errors into a failed test with the same message and no traceback."""
    try:
        yield
    except TierwrightError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


class ResultRecorder:
    """Collects the results of the tests, and hands them over when the session ends."""

    def __init__(self, hand_over: Callable[[SessionResult], None]) -> None:
        """Take the function that takes the results."""
        self._hand_over = hand_over
        self._began = time.monotonic()
        self._passed: list[tuple[str, float]] = []
        self._skipped: list[str] = []
        self._failed: list[SessionFailure] = []
        self._running = ""
        self._interrupted = False
        self._session: pytest.Session | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Store the session."""
        self._session = session

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Add a file whose tests cannot be collected as a failure, and a file that skips all its tests."""
        if report.failed:
            self._fail(report.nodeid, _message(report), report.sections)
        elif report.skipped:
            self._skipped.append(self._full_name(report.nodeid))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Store the name of the running test."""
        self._running = nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the result of one phase of a test."""
        if report.failed:
            self._fail(report.nodeid, _message(report), report.sections)
        elif report.when == "call" and report.passed:
            self._passed.append((self._full_name(report.nodeid), round(report.duration, 3)))
        elif report.skipped:
            self._skipped.append(self._full_name(report.nodeid))

    def pytest_keyboard_interrupt(self) -> None:
        """Add the test that ran when the session was interrupted, with the logs of its containers."""
        if self._running and self._session is not None:
            self._interrupted = True
            self._fail(self._running, "interrupted", logs(self._session))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Hand over the results, first of all plugins, because a later step may hang."""
        result = SessionResult(
            tests=len(self._passed) + len({failure.test for failure in self._failed}),
            ran=tuple(self._passed),
            seconds=round(time.monotonic() - self._began, 3),
            failed=tuple(self._failed),
            interrupted=self._interrupted,
            skipped=tuple(self._skipped),
        )
        self._hand_over(result)

    def _fail(self, test: str, message: str, sections: Iterable[tuple[str, str]]) -> None:
        container_logs = [f"{name}:\n{text}" for name, text in sections if name.startswith(LOG_HEADING)]
        self._failed.append(SessionFailure(self._full_name(test), message, "\n".join(container_logs)))

    def _full_name(self, test: str) -> str:
        path, separator, rest = test.partition("::")
        root = self._session.config.rootpath if self._session else Path()
        return f"{root / path}{separator}{rest}"


def _message(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Return the message of the exception with the file and line that raised it, or the text of the report."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return report.longreprtext.strip()
    return f"{crash.message} ({Path(crash.path).name}:{crash.lineno})"
