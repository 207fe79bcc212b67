# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes how a session of tests ended, for the process that started it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from .fixtures import LOG_HEADING, logs


class Result:
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
