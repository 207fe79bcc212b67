# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pytest plugin that lets a tier's tests run against an image.

It is loaded by every pytest where this distribution is installed, so it imports next to nothing, and does nothing to
other people's tests. Its fixtures are in :mod:`.fixtures` and come with ``--image``.
"""

from __future__ import annotations

import os
import signal
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import pytest

#: Seconds that a test may take, its fixtures included, unless it, the command line or the project says otherwise.
TEST_TIMEOUT = 60

_MARKERS = (
    "contract: what the tier asks of every tier that stands on it; runs on these, too",
    "network: the test's containers reach what is outside, as the engine's default network does",
)

#: Options of testinfra's that say where its own ``host`` is.
_ELSEWHERE = ("hosts", "connection", "ansible_inventory")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what says which image is tested."""
    group = parser.getgroup("tierwright", "tests of container images (tierwright)")
    group.addoption("--image", metavar="REF", help="the image under test")
    group.addoption("--tier", metavar="NAME", help="the tier that the image is of; by default what its label says")
    group.addoption(
        "--neighbour",
        metavar="NAME=REF",
        action="append",
        default=[],
        help="another tier that tests may start, and its image; may be given several times",
    )
    group.addoption("--contract", action="store_true", help="run only tests marked 'contract'")
    group.addoption("--tier-run", metavar="ID", help="the run that containers and networks are labelled with")
    group.addoption("--tier-result", metavar="FILE", help="write how the tests ended to this file, as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest our markers; with an image, load the fixtures and limit each test's time."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if config.getoption("image") is None:
        return
    option = config.option
    if option.timeout is None and not config.getini("timeout") and "PYTEST_TIMEOUT" not in os.environ:
        option.timeout = float(TEST_TIMEOUT)
    # Registered after all entry points, so that ``host`` is ours and not testinfra's.
    config.pluginmanager.register(import_module(".fixtures", __package__), "tierwright-fixtures")
    if config.getoption("tier_run"):
        # The gate interrupts its tests. A run in the background of a script ignores SIGINT, and so would they.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        import_module(".reaper", __package__).end_with(os.getppid())
    if config.getoption("tier_result"):
        result = import_module(".fixtures", __package__).ResultRecorder(Path(config.getoption("tier_result")))
        config.pluginmanager.register(result, "tierwright-result")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--contract``, leave out every test that is not marked so."""
    if not config.getoption("contract"):
        return
    others = [item for item in items if item.get_closest_marker("contract") is None]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item.get_closest_marker("contract") is not None]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Keep a role's tests away from this machine, which testinfra's own ``host`` is where nothing else is said."""
    if "host" not in getattr(item, "fixturenames", ()) or not _is_role_test(item.path):
        return
    options = item.config.option
    if options.image is None and not any(getattr(options, name, None) for name in _ELSEWHERE):
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
    """Say whether a file is ``roles/<role>/tests/…``."""
    parts = path.parts
    return any(parts[at] == "roles" and parts[at + 2] == "tests" for at in range(len(parts) - 3))


def _missing(fixture: str) -> NoReturn:
    pytest.fail(f"fixture {fixture!r} needs an image to test: say --image NAME:TAG", pytrace=False)
