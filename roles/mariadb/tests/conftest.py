# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One database that tests share, and how to ask it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

_PASSWORD = 'it\'s a "hard" one: $x \\ `y`'


@pytest.fixture(scope="session")
def environment() -> Mapping[str, str]:
    """What a user says who wants a database: nothing that the image has to know before."""
    return {
        "MARIADB_RANDOM_ROOT_PASSWORD": "1",
        "MARIADB_DATABASE": "shop",
        "MARIADB_USER": "keeper",
        "MARIADB_PASSWORD": _PASSWORD,
        "MARIADB_INITDB_SKIP_TZINFO": "1",
    }


@pytest.fixture(scope="session")
def database(start_once, environment) -> Any:
    """The image as its users start it, on an empty volume; healthy."""
    started = start_once(env=environment)
    started.wait_healthy(timeout=50)
    return started


@pytest.fixture(scope="session")
def query() -> Callable[..., Any]:
    """Runs SQL with the image's own client, as over the network, and returns testinfra's result."""

    def query(database: Any, statement: str, user: str = "keeper", password: str = _PASSWORD) -> Any:
        client = "MYSQL_PWD=%s mariadb --host=127.0.0.1 --user=%s --batch --skip-column-names --execute=%s"
        return database.host.run(client, password, user, statement)

    return query
