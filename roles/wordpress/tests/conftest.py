# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures for the tests of WordPress: a shared site with its database."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that need the site last. It starts while the others run."""
    items.sort(key=_needs_site)


def _needs_site(item: pytest.Item) -> bool:
    return "site" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def _starting(start_once) -> tuple[Any, Any]:
    """A container of WordPress, and one of the chain's database. They may not be ready yet."""
    database = start_once("mariadb", env=_DATABASE, alias="database")
    return start_once(env=_SITE), database


@pytest.fixture(scope="session", autouse=True)
def _start_early(request) -> None:
    """Start the site before the first test, if any test needs it: the database takes seconds to begin."""
    if any(map(_needs_site, request.session.items)):
        with contextlib.suppress(pytest.fail.Exception):  # the tests that need the site fail with it
            request.getfixturevalue("_starting")


@pytest.fixture(scope="session")
def site(_starting) -> Any:
    """A healthy container of WordPress with the chain's database. The site is not installed yet."""
    started, database = _starting
    started.wait_healthy(timeout=50)
    database.wait_healthy(timeout=50)
    return started


@pytest.fixture(scope="session")
def upgrading() -> dict[str, str]:
    """The variables of a container that upgrades the tables of the shared site before it starts."""
    return {**_SITE, "WORDPRESS_DB_UPGRADE": "1"}


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
