# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures for the tests of WordPress: a shared site with its database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

_PASSWORD = 'it\'s "hard": $x'
_DATABASE = {
    "MARIADB_RANDOM_ROOT_PASSWORD": "1",
    "MARIADB_DATABASE": "blog",
    "MARIADB_USER": "blog",
    "MARIADB_PASSWORD": _PASSWORD,
    "MARIADB_INITDB_SKIP_TZINFO": "1",
}
_SITE = {
    "WORDPRESS_DB_HOST": "database",
    "WORDPRESS_DB_NAME": "blog",
    "WORDPRESS_DB_USER": "blog",
    "WORDPRESS_DB_PASSWORD": _PASSWORD,
    "WORDPRESS_TABLE_PREFIX": "tw_",
}
_UPGRADING = {**_SITE, "WORDPRESS_DB_UPGRADE": "1"}
#: Containers that need seconds until they are ready, or have ended: by name, the arguments that start them.
_SLOW: dict[str, dict[str, Any]] = {
    "database": {"tier": "mariadb", "env": _DATABASE, "alias": "database"},
    "site": {"env": _SITE},
    "without_database": {
        "env": {**_UPGRADING, "WORDPRESS_DB_HOST": "127.0.0.1", "WORDPRESS_DB_WAIT": "1"},
        "alias": "without-database",
    },
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of slow containers last. These containers start while the other tests run."""
    items.sort(key=_is_slow)


def _is_slow(item: pytest.Item) -> bool:
    return bool({"site", "without_database"}.intersection(getattr(item, "fixturenames", ())))


@pytest.fixture(scope="session")
def _starting(start_once) -> Iterator[dict[str, Future[Any]]]:
    """The slow containers, by name. They start in the background; a failure is that of the tests that need them."""
    with ThreadPoolExecutor(len(_SLOW)) as pool:
        yield {name: pool.submit(start_once, **arguments) for name, arguments in _SLOW.items()}


@pytest.fixture(scope="session", autouse=True)
def _start_early(request) -> None:
    """Begin to start the slow containers before the first test, if any test needs them."""
    if any(map(_is_slow, request.session.items)):
        request.getfixturevalue("_starting")


@pytest.fixture(scope="session")
def site(_starting) -> Any:
    """A healthy container of WordPress with the chain's database. The site is not installed yet."""
    started, database = (_starting[name].result() for name in ("site", "database"))
    started.wait_healthy(timeout=50)
    database.wait_healthy(timeout=50)
    return started


@pytest.fixture(scope="session")
def without_database(_starting) -> Any:
    """A container of WordPress that waits one second for a database that it cannot reach."""
    return _starting["without_database"].result()


@pytest.fixture(scope="session")
def upgrading() -> dict[str, str]:
    """The variables of a container that upgrades the tables of the shared site before it starts."""
    return _UPGRADING


@pytest.fixture(scope="session")
def installed(site) -> Any:
    """The same site, installed with the forms that a person would use in a browser."""
    redirect = site.http("/")
    assert redirect.status == 302, redirect.body
    assert "/wp-admin/install.php" in redirect.headers["Location"]
    answer = site.http(
        "/wp-admin/install.php?step=2",
        data={
            "weblog_title": "Tierwright", "user_name": "admin", "admin_password": "correct horse", "pw_weak": "1",
            "admin_password2": "correct horse", "admin_email": "a@example.org", "blog_public": "0", "language": "",
            "Submit": "Install",
        },
        timeout=40,
    )  # fmt: skip
    assert "Success!" in answer.body, answer.body
    return site


@pytest.fixture(scope="session")
def php() -> Callable[[Any, str], str]:
    """A function that runs PHP code with WordPress loaded, as the user of the image, and returns its output."""

    def php(site: Any, code: str) -> str:
        result = site.host.run("cd /var/www/html && php -r %s", f"require 'wp-load.php'; {code}")
        assert result.rc == 0, f"{result.stdout}{result.stderr}"
        printed: str = result.stdout
        return printed

    return php
