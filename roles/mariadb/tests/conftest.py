# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures for the tests of the database: shared containers, and a function that runs queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

_PASSWORD = 'it\'s a "hard" one: $x \\ `y`'


@pytest.fixture(scope="session")
def environment() -> Mapping[str, str]:
    """Environment variables of a user who needs one database and one account."""
    return {
        "MARIADB_RANDOM_ROOT_PASSWORD": "1",
        "MARIADB_DATABASE": "shop",
        "MARIADB_USER": "keeper",
        "MARIADB_PASSWORD": _PASSWORD,
        "MARIADB_INITDB_SKIP_TZINFO": "1",
    }


@pytest.fixture(scope="session")
def database(start_once, environment) -> Any:
    """A healthy container of the image, started on an empty volume."""
    started = start_once(env=environment)
    started.wait_healthy(timeout=50)
    return started


@pytest.fixture(scope="session")
def query() -> Callable[..., Any]:
    """A function that runs SQL with the image's own client over TCP, and returns testinfra's result."""

    def query(database: Any, statement: str, user: str = "keeper", password: str = _PASSWORD) -> Any:
        client = "MYSQL_PWD=%s mariadb --host=127.0.0.1 --user=%s --batch --skip-column-names --execute=%s"
        return database.host.run(client, password, user, statement)

    return query


#: A script that is not executable, so it is sourced. It uses an unset variable and names of the official image.
_READ = """
[ -z "$SURELY_NOT_SET" ] && mysql_note "read by $SHELL_WORD"
docker_process_sql <<<"CREATE TABLE seen (name VARCHAR(80) PRIMARY KEY, value TEXT)"
"""
#: An executable script. It sees only environment variables.
_RUN = """#!/bin/bash
for name in {MYSQL,MARIADB}_{DATABASE,USER,ROOT_HOST} MYSQL_ROOT_PASSWORD; do
    echo "INSERT INTO seen VALUES ('$name', '${!name}');"
done | mariadb --user=root --password="$MARIADB_ROOT_PASSWORD" "$MARIADB_DATABASE"
"""


@pytest.fixture(scope="session")
def busy_database(start_once) -> Any:
    """A healthy container with most settings of the official image, and with options that could disturb its start."""
    secret = 'A "secret" of \\ 1 more\'s'
    script = (
        'set -e; cd /docker-entrypoint-initdb.d; printf %s "$READ" >a.sh; printf %s "$RUN" >b.sh; chmod 755 b.sh;'
        " echo 'SELECT broken' >.hidden.sql; echo \"INSERT INTO seen VALUES ('sql', 'done')\" | gzip >c.sql.gz;"
        " printf '%s\\n' \"$SECRET\" >/secret; chmod 400 /secret; unset READ RUN SECRET;"
        ' exec docker-entrypoint.sh mariadbd "$@"'
    )
    options = [
        "--default-time-zone=Europe/Berlin", "--plugin-load-add=simple_password_check", "--init-connect=SET @a = 'b c'",
        "--log-bin", "--server-id=7", "--require-secure-transport=OFF", "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
    ]  # fmt: skip
    environment = {
        "READ": _READ, "RUN": _RUN, "SECRET": secret, "MYSQL_RANDOM_ROOT_PASSWORD": "1", "MYSQL_DATABASE": "shop",
        "MYSQL_USER": "keeper", "MARIADB_PASSWORD_FILE": "/secret", "MARIADB_USER_HOST": "127.0.0.%",
        "MARIADB_ROOT_HOST": "localhost", "MARIADB_MYSQL_LOCALHOST_USER": "1", "MARIADB_REPLICATION_USER": "copier",
        "MARIADB_REPLICATION_PASSWORD": "Copies-1",
        "MARIADB_HEALTHCHECK_GRANTS": "REPLICA MONITOR", "MARIADB_PASWORD": "misspelt",
    }  # fmt: skip
    started = start_once(user="0", env=environment, command=["bash", "-c", script, "bash", *options], alias="busy")
    started.wait_healthy(timeout=50)
    started.secret = secret
    return started
