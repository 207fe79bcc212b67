# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes how a session of tests ended, for the process that started it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

_HEADING = "log of "


class Result:
    """Collects what failed, and writes it when the session is over."""

    def __init__(self, path: Path) -> None:
        """Remember where to write."""
        self._path = path
        self._began = time.monotonic()
        self._passed = 0
        self._failed: list[dict[str, Any]] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take a file that cannot be read as tests."""
        if report.failed:
            self._fail(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take how one part of a test ended."""
        if report.failed:
            self._fail(report)
        elif report.when == "call" and report.passed:
            self._passed += 1

    def pytest_sessionfinish(self) -> None:
        """Write it down."""
        seconds = round(time.monotonic() - self._began, 3)
        tests = self._passed + len({each["test"] for each in self._failed})
        self._path.write_text(json.dumps({"tests": tests, "seconds": seconds, "failed": self._failed}))

    def _fail(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        logs = [(name, text) for name, text in report.sections if name.startswith(_HEADING)]
        self._failed.append(
            {
                "test": report.nodeid,
                "message": _message(report),
                "log": "\n".join(f"{name}:\n{text}" for name, text in logs),
            }
        )


def _message(report: pytest.CollectReport | pytest.TestReport) -> str:
    """What a person reads first: the exception's own words, with the line that it came from."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return report.longreprtext.strip()
    return f"{crash.message} ({Path(crash.path).name}:{crash.lineno})"
