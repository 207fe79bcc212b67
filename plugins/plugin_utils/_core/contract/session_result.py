# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The results of one pytest session."""

from __future__ import annotations

from dataclasses import dataclass


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
