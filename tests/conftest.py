"""What all tests share: `--engine`, they can be interrupted, and say how much of their time was set-up."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from typing import Any

import pytest

from engines import machine
from engines.catalogue import CHOICES
from engines.roots import NotToBeHadError

pytest.register_assert_rewrite("engine_contract", "other_engines")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a session run with another engine than this machine's."""
    parser.addoption(
        "--engine",
        choices=CHOICES,
        help="run the tests on a machine of their own with this engine, which is fetched from Debian's archive",
    )


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Run this very session on the other machine, where it was asked for and is not there yet."""
    name = config.getoption("engine")
    if name is None or os.environ.get(machine.VARIABLE) == name:
        return None
    try:
        return machine.run(name, [sys.executable, "-m", "pytest", *config.invocation_params.args])
    except NotToBeHadError as error:
        raise pytest.UsageError(str(error)) from error


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
