# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pytest plugin that runs a tier's tests on an image.

Every pytest loads it if this distribution is installed. Therefore it imports very little, and does not change other
tests. Its fixtures are in :mod:`.fixtures`, which is loaded with ``--image``.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import pytest

from ..parent_process import ParentProcess

#: Default time limit of a test with its fixtures, in seconds.
TEST_TIMEOUT = 60

_MARKERS = (
    "contract: a demand on all descendants of the tier; the test runs on their images, too",
    "network: the test's containers can reach outside networks, like those on the engine's default network",
)

#: Entry point of Hypothesis, which summarises property-based tests.
_HYPOTHESIS = "hypothesispytest"

#: Options of testinfra with which its own ``host`` is a chosen machine.
_TESTINFRA_OPTIONS = ("hosts", "connection", "ansible_inventory")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin."""
    group = parser.getgroup("tierwright", "tests of container images (tierwright)")
    group.addoption("--image", metavar="REF", help="the image under test")
    group.addoption("--tier", metavar="NAME", help="the tier that the image belongs to; by default from its label")
    group.addoption(
        "--neighbour",
        metavar="NAME=REF",
        action="append",
        default=[],
        help="a different tier that tests may start, and its image; may be given several times",
    )
    group.addoption("--contract", action="store_true", help="run only tests marked 'contract'")
    group.addoption("--tier-run", metavar="ID", help="ID of the run, for the labels of containers and networks")
    group.addoption("--tier-result", metavar="FILE", help="write the results of the tests to this file, as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the markers. With an image, load the fixtures and set the time limit of tests."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if config.getoption("image") is None:
        return
    option = config.option
    if option.timeout is None and not config.getini("timeout") and "PYTEST_TIMEOUT" not in os.environ:
        option.timeout = float(TEST_TIMEOUT)
    # All entry points have been registered before, so that our ``host`` replaces testinfra's.
    fixtures = import_module(".fixtures", __package__)
    config.pluginmanager.register(fixtures, "tierwright-fixtures")
    if config.getoption("tier_run"):
        # The gate interrupts its tests with SIGINT. A background process of a script ignores SIGINT, and its child
        # processes inherit this.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ParentProcess().interrupt_with()
    if config.getoption("tier_result"):
        write = partial(import_module(".result_file", __package__).write_result, Path(config.getoption("tier_result")))
        config.pluginmanager.register(fixtures.ResultRecorder(write), "tierwright-result")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In the gate, leave out the summary of Hypothesis if no test uses it: to import it takes 0.4 s for each tier."""
    plugins = session.config.pluginmanager
    if session.config.getoption("tier_result") and "hypothesis" not in sys.modules and plugins.has_plugin(_HYPOTHESIS):
        plugins.unregister(name=_HYPOTHESIS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--contract``, deselect all tests that are not marked ``contract``."""
    if not config.getoption("contract"):
        return
    others = [item for item in items if item.get_closest_marker("contract") is None]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item.get_closest_marker("contract") is not None]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Do not run a role's tests on this machine, which is testinfra's default ``host``."""
    if "host" not in getattr(item, "fixturenames", ()) or not _is_role_test(item.path):
        return
    options = item.config.option
    if options.image is None and not any(getattr(options, name, None) for name in _TESTINFRA_OPTIONS):
        _missing("host")


@pytest.fixture(scope="session")
def image() -> NoReturn:
    """The image under test."""
    _missing("image")


@pytest.fixture
def start() -> NoReturn:
    """Starts containers that end with the test."""
    _missing("start")


@pytest.fixture(scope="session")
def start_once() -> NoReturn:
    """Starts containers that end with the session."""
    _missing("start_once")


def _is_role_test(path: Path) -> bool:
    """Tell whether a file is ``roles/<role>/tests/…``."""
    parts = path.parts
    return any(parts[index] == "roles" and parts[index + 2] == "tests" for index in range(len(parts) - 3))


def _missing(fixture: str) -> NoReturn:
    pytest.fail(f"fixture {fixture!r} needs an image to test: add the option --image NAME:TAG", pytrace=False)
