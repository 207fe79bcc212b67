# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One database that tests share."""

from __future__ import annotations

from typing import Any

import pytest

PASSWORD = 'it\'s a "hard" one: $x \\ `y`'
SETTINGS = {
    "MARIADB_RANDOM_ROOT_PASSWORD": "1",
    "MARIADB_DATABASE": "shop",
    "MARIADB_USER": "keeper",
    "MARIADB_PASSWORD": PASSWORD,
    "MARIADB_INITDB_SKIP_TZINFO": "1",
}


@pytest.fixture(scope="session")
def database(start_once) -> Any:
    """The image as its users start it, on an empty volume; healthy."""
    started = start_once(env=SETTINGS)
    started.wait_healthy(timeout=50)
    return started


def query(database: Any, statement: str, user: str = "keeper", password: str = PASSWORD) -> Any:
    """Run SQL with the image's own client, through the network; tell status and output."""
    return database.host.run(
        "MYSQL_PWD=%s mariadb --host=127.0.0.1 --user=%s --batch --skip-column-names --execute=%s",
        password,
        user,
        statement,
    )
