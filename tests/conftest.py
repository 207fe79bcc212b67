"""What all tests of this project share: they can be interrupted, and say how much of their time was set-up."""

from __future__ import annotations

import signal
from collections.abc import Generator
from typing import Any

import pytest

pytest.register_assert_rewrite("engine_contract")


def pytest_configure() -> None:
    """Let tests, and the runs that they start, end on SIGINT where a script started pytest in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Keep a test's set-up time apart, in the JUnit XML that `durations.py` reads."""
    if call.when == "setup":
        item.user_properties.append(("setup", f"{call.duration:.1f}"))
    return (yield)
