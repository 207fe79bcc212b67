# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The results of one pytest session."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class SessionFailure:
    """A failure of a test, of its fixtures, or of a file whose tests cannot be collected."""

    #: The test or file for pytest, with its absolute path; empty if no test was running.
    test: str
    message: str
    #: The last lines of the containers' logs, each log with its heading.
    log: str = ""


@dataclass(frozen=True, slots=True)
class SessionResult:
    """The results of a session. Without arguments: no test ran."""

    #: Number of tests that ran.
    tests: int = 0
    #: The tests that passed, each with its duration in seconds.
    ran: tuple[tuple[str, float], ...] = ()
    #: Duration of the session.
    seconds: float = 0
    #: Failures in order. One test can have several.
    failed: tuple[SessionFailure, ...] = ()
    #: Whether the session was interrupted during a test. The last failure is this test.
    interrupted: bool = False
    #: The tests that were skipped, or that failed as expected.
    skipped: tuple[str, ...] = ()


#: Exit statuses of a pytest that ran its tests: all passed, some failed, there were no tests (``pytest.ExitCode``).
_DONE = frozenset({0, 1, 5})


def judge(result: SessionResult, status: int, output: str, timeout: float | None) -> SessionResult:
    """Add a failure to the results of a pytest that was interrupted, or that ended without running its tests.

    Args:
        result: What it reported.
        status: Its exit status.
        output: The last lines of its output.
        timeout: The time limit in seconds, if it was interrupted because of it.
    """
    if timeout is not None:
        *others, running = result.failed if result.interrupted else (*result.failed, SessionFailure("", ""))
        message = f"the tests took longer than {timeout:g} s (tier_test_timeout) and were ended"
        return replace(result, failed=(*others, replace(running, message=message)))
    if status not in _DONE and not result.failed:
        return replace(result, failed=(SessionFailure("", f"pytest ended with status {status}:\n{output}"),))
    return result
