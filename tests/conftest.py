"""For all tests: the options `--engine` and `--sample`, interruption with SIGINT, and the set-up time of each test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from typing import Any

import pytest

from engines import machine
from engines.catalogue import CHOICES
from engines.roots import UnavailableError

pytest.register_assert_rewrite("engine_contract", "other_engines")
pytest_plugins = ["sampled"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that selects a different engine."""
    parser.addoption(
        "--engine",
        choices=CHOICES,
        help="run the tests on a separate machine with this engine, which is downloaded from Debian's archive",
    )


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """With `--engine`, run this session on the other machine, unless it already runs there."""
    name = config.getoption("engine")
    if name is None or os.environ.get(machine.VARIABLE) == name:
        return None
    try:
        return machine.run(name, [sys.executable, "-m", "pytest", *config.invocation_params.args])
    except UnavailableError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_configure() -> None:
    """Let SIGINT end tests and the runs that they start, even if a script started pytest in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Record the set-up time of a test in the JUnit XML, for `durations.py`."""
    if call.when == "setup":
        item.user_properties.append(("setup", f"{call.duration:.1f}"))
    return (yield)
