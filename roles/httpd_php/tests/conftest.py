# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The web server's own settings, and one container of it that tests share."""

from __future__ import annotations

from typing import Any

import pytest

SETTINGS = "/usr/local/lib/httpd-php/settings.sh"


@pytest.fixture(scope="session")
def settings(host) -> dict[str, str]:
    """What the role told the programs that it installs: paths of the servers, port, time to stop."""
    lines = host.file(SETTINGS).content_string.splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.fixture(scope="session")
def web(start_once) -> Any:
    """The image as its users start it, without any setting; healthy."""
    started = start_once()
    started.wait_healthy(timeout=30)
    return started


def users_of(started: Any) -> set[str]:
    """User IDs of the processes that a container started by itself."""
    return {user for user, what in processes_of(started) if not what.startswith(("ps ", "/bin/sh -c", "sh -c"))}


def processes_of(started: Any) -> list[tuple[str, str]]:
    """User ID and command line of every process in a container."""
    lines = started.host.check_output("ps -eo uid=,args=").splitlines()
    return [(user, what) for user, what in (line.split(None, 1) for line in lines)]
