# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One site with its database that tests share."""

from __future__ import annotations

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


@pytest.fixture(scope="session")
def site(start_once) -> Any:
    """WordPress as its users start it, with the chain's own database; both healthy, nothing installed."""
    database = start_once("mariadb", env=_DATABASE, alias="database")
    started = start_once(env=_SITE)
    started.wait_healthy(timeout=50)
    database.wait_healthy(timeout=50)
    return started


@pytest.fixture(scope="session")
def installed(site) -> Any:
    """The same, installed as a person would with a browser."""
    asked = site.http("/")
    assert asked.status == 302, asked.body
    assert "/wp-admin/install.php" in asked.headers["Location"]
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
    """Runs PHP with WordPress loaded, as the user of the image, and returns what it printed."""

    def php(site: Any, code: str) -> str:
        said = site.host.run("cd /var/www/html && php -r %s", f"require 'wp-load.php'; {code}")
        assert said.rc == 0, f"{said.stdout}{said.stderr}"
        printed: str = said.stdout
        return printed

    return php
