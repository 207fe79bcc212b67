# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate: pytest processes that run the tests of an image within a time limit."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec

from ..engine.engine import connect
from ..errors import ContractError, TierwrightError
from ..parent_process import ParentProcess
from ..text import printable, printable_lines
from .result_file import read_result
from .role_tests import RoleTests, Suite
from .sandbox import SANDBOX_TESTS, run_in_sandbox, sandboxes
from .session_containers import SeparateContainers
from .session_result import SessionFailure, SessionResult, judge

#: Default time limit for all tests of one image, in seconds.
TIMEOUT = 600

#: Time for an interrupted pytest to write its results and remove its containers, in seconds.
_GRACE_SECONDS = 30

#: Interval in which the gate checks whether its parent process still exists, in seconds.
_POLL_SECONDS = 1.0

#: Number of sandboxes that run at the same time.
_SANDBOXES = 3

#: Number of lines of pytest's output in a message, if it ended before it ran tests.
_LINES = 20

#: Packages that the tests need, by the name of the module.
_PACKAGES = {"pytest": "pytest", "testinfra": "pytest-testinfra", "pytest_timeout": "pytest-timeout"}


class GateSubject(msgspec.Struct, frozen=True):
    """The image to be tested, with its neighbours."""

    #: The name of the tier.
    tier: str
    #: ID of its image.
    image: str
    #: IDs of its neighbours' images, by tier, without the neighbours that have no image.
    neighbours: Mapping[str, str]
    #: The ID of the run.
    run: str
    #: Neighbours without an image: they failed, and have no release.
    lacking: tuple[str, ...] = ()


class FailedTest(msgspec.Struct, frozen=True):
    """One test that failed."""

    #: Its pytest name: ``/roles/web/tests/test_site.py::test_login``. Empty if no test was running.
    test: str
    #: The tests that it belongs to; ``None`` if no test was running.
    owner: RoleTests | None
    #: The message of the failure.
    message: str
    #: The last lines of its containers' logs.
    log: str


class Verdict(msgspec.Struct, frozen=True):
    """The result of the tests of one image."""

    #: Number of tests that ran.
    tests: int
    #: Duration of all tests in seconds.
    seconds: float
    failed: tuple[FailedTest, ...]
    #: Pytest names of the tests that passed, each with its duration in seconds.
    ran: tuple[tuple[str, float], ...] = ()
    #: Pytest names of the tests that were skipped, or that failed as expected.
    skipped: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no test failed."""
        return not self.failed


def run_suite(suite: Suite, subject: GateSubject, timeout: float = TIMEOUT) -> Verdict:
    """Run all tests of a suite: the tests of the tier's role, and in parallel the contracts of its ancestors.

    Args:
        suite: The tests.
        subject: The image to be tested, with its neighbours.
        timeout: The time limit in seconds.

    Raises:
        ContractError: pytest or one of its plugins is not installed, or the parent process was killed. This process, a
            worker of Ansible, survives that: since ansible-core 2.20, each worker has a session of its own.
    """
    parent = ParentProcess()
    _check_packages(subject.tier)
    began = time.monotonic()
    contracts = tuple(tests for tests in suite.contracts if tests.origin is None)
    foreign = tuple(tests for tests in suite.contracts if tests.origin is not None)
    parts: list[tuple[Sequence[RoleTests], list[str]]] = [(suite.of_tier, [])] if suite.of_tier else []
    parts += [(contracts, ["--contract"])] if contracts else []
    with tempfile.TemporaryDirectory(prefix="tierwright-") as scratch, ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(
                _run,
                tests,
                [*options, *arguments(subject)],
                Path(scratch, str(number)),
                subject.run,
                timeout,
                parent,
            )
            for number, (tests, options) in enumerate(parts)
        ]
        outside = run_foreign(foreign, subject, timeout, parent) if foreign else []
        results = [run.result() for run in runs]
    if parent.has_ended():
        raise ContractError(f"run {subject.run} has ended; its tests were ended, too")
    failed = [_failed_test(suite, failure) for result in results for failure in result.failed]
    ran = [passed for result in results for passed in result.ran]
    skipped = [name for result in results for name in result.skipped]
    for owner, result in outside:
        failed += [_foreign_failure(owner, failure) for failure in result.failed]
        ran += [(_foreign_name(owner, name), seconds) for name, seconds in result.ran]
        skipped += [_foreign_name(owner, name) for name in result.skipped]
    tests = sum(result.tests for result in [*results, *(result for _owner, result in outside)])
    return Verdict(tests, round(time.monotonic() - began, 1), tuple(failed), tuple(ran), tuple(skipped))


def run_foreign(
    foreign: Sequence[RoleTests], subject: GateSubject, timeout: float, parent: ParentProcess
) -> list[tuple[RoleTests, SessionResult]]:
    """Run the contracts of other teams, each in a sandbox of its own, so that none can change the results of another.

    Args:
        foreign: The tests.
        subject: The image to be tested, with its neighbours.
        timeout: The time limit in seconds.
        parent: The process with which they end.

    Returns:
        The results. If there is no sandbox, each result is a failure that says so.
    """
    neighbours = {**subject.neighbours, **dict.fromkeys(subject.lacking, "")}

    def run(tests: RoleTests) -> SessionResult:
        containers = SeparateContainers(
            engine, subject.image, tier=subject.tier, neighbours=neighbours, run=subject.run
        )
        return run_in_sandbox(
            ready, containers, Path(tests.folder), tier=subject.tier, timeout=timeout, has_ended=parent.has_ended
        )

    try:
        with (
            closing(connect()) as engine,
            sandboxes(engine, engine.images.get(subject.image), tier=subject.tier, run=subject.run) as ready,
            ThreadPoolExecutor(_SANDBOXES) as pool,
        ):
            return list(zip(foreign, pool.map(run, foreign), strict=True))
    except TierwrightError as error:
        return [(tests, SessionResult(1, failed=(SessionFailure("", str(error)),))) for tests in foreign]


def arguments(subject: GateSubject) -> list[str]:
    """Return the options of pytest for the image and its neighbours."""
    images = {**subject.neighbours, **dict.fromkeys(subject.lacking, "")}
    neighbours = [word for name, image in images.items() for word in ("--neighbour", f"{name}={image}")]
    return ["--tier", subject.tier, "--image", subject.image, *neighbours]


def _run(
    tests: Sequence[RoleTests], options: list[str], scratch: Path, run: str, timeout: float, parent: ParentProcess
) -> SessionResult:
    """Run one pytest process, and wait for its end.

    Returns:
        Its results. They have a failure if it was interrupted, or ended without results.

    Raises:
        ContractError: The parent process of this process has ended.
    """
    result_file, log = scratch.with_suffix(".json"), scratch.with_suffix(".log")
    library = Path(__file__).parents[1]
    command = [
        *_pytest(),
        "--color=no",
        *("--tier-run", run, "--tier-result", str(result_file), *options),
        *(role_tests.folder for role_tests in tests),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(library.parent),
            process_group=0,
        )
        was_interrupted = _wait(process, timeout, parent)
    if parent.has_ended():
        raise ContractError(f"run {run} has ended; its tests were ended, too")
    result = read_result(result_file)
    last_lines = "\n".join(log.read_text(errors="replace").splitlines()[-_LINES:])
    return judge(result, process.returncode, last_lines, timeout if was_interrupted else None)


def _pytest() -> list[str]:
    """Return the command of pytest with the plugin of this copy of the library, whatever version is installed."""
    plugin = f"{Path(__file__).parents[1].name}.{Path(__file__).parent.name}.pytest_plugin"
    return [
        *(sys.executable, "-m", "pytest", "--import-mode=importlib"),
        *("-p", "no:cacheprovider", "-p", "no:tierwright", "-p", plugin),
    ]


#: Exit status of pytest if it selected no test.
_NO_TESTS = 5


def run_in_foreground(
    suite: Suite, subject: GateSubject, words: Sequence[str], say: Callable[[str], None], *, own: bool = False
) -> int:
    """Run the tests of a suite for somebody who watches: the tier's own, then the contracts of its ancestors.

    Contracts of other teams are left out, because they run in a sandbox only.

    Args:
        suite: The tests.
        subject: The image to be tested, with its neighbours.
        words: More options for pytest.
        say: Called with lines for the user.
        own: Whether contracts are left out.

    Returns:
        The first exit status of pytest that is not 0. A part without a selected test counts only if there is no other.

    Raises:
        ContractError: pytest or one of its plugins is not installed.
    """
    _check_packages(subject.tier)
    contracts = [] if own else [tests.folder for tests in suite.contracts if tests.origin is None]
    own_folders = [tests.folder for tests in suite.of_tier]
    parts = [*([own_folders] if own_folders else []), *([["--contract", *contracts]] if contracts else [])]
    for tests in suite.contracts:
        if tests.origin is not None and not own:
            say(
                f"left out: the contracts of tier {tests.tier} of team {tests.team}, which run in a sandbox only: "
                f"ansible-playbook playbooks/test_chain.yml --limit {shlex.quote(subject.tier)}"
            )
    environment = _environment(Path(__file__).parents[2])
    statuses = [
        subprocess.run([*_pytest(), *arguments(subject), *words, *part], env=environment, check=False).returncode
        for part in parts
    ]
    ran = [status for status in statuses if status != _NO_TESTS]
    return next((status for status in ran if status), 0 if ran else _NO_TESTS)


def _check_packages(tier: str) -> None:
    missing = [name for module, name in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ContractError(
            f"tier {tier!r} has tests, but {', '.join(missing)} cannot be imported by {sys.executable}; "
            f"install with: {shlex.join(['pip', 'install', *missing])}"
        )


def _wait(process: subprocess.Popen[bytes], timeout: float, parent: ParentProcess) -> bool:
    """Wait for the end of a pytest process. End it after the timeout, or if this process loses its parent process.

    Returns:
        Whether the process was interrupted.
    """
    deadline = time.monotonic() + timeout
    while not parent.has_ended() and (remaining := deadline - time.monotonic()) > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(remaining, _POLL_SECONDS))
            return False
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return True


def _environment(path: Path) -> dict[str, str]:
    """Return the environment without a user's settings for pytest. Python writes no byte code next to the tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    paths = [str(path), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def _failed_test(suite: Suite, failure: SessionFailure) -> FailedTest:
    path = Path(failure.test.partition("::")[0])
    owner = next((tests for tests in suite.all if path.is_relative_to(tests.folder)), None)
    # The image can determine the name, the message and the logs, so control characters for terminals are escaped.
    test, message, log = map(printable_lines, (failure.test, failure.message, failure.log))
    return FailedTest(test, owner, message, log)


def _foreign_failure(owner: RoleTests, failure: SessionFailure) -> FailedTest:
    test, message, log = map(printable_lines, (failure.test, failure.message, failure.log))
    if not test:
        message = f"the contract of tier {owner.tier!r} of team {owner.team} ({owner.origin}): {message}"
    return FailedTest(_foreign_name(owner, test) if test else "", owner, message, log)


def _foreign_name(owner: RoleTests, test: str) -> str:
    """Name a test by the image that it is attached to: its file is in a sandbox that does not exist any more."""
    return f"{owner.origin}:{printable(test.removeprefix(SANDBOX_TESTS))}"
