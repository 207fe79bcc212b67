# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One site with its database that tests share."""

from __future__ import annotations

from typing import Any

import pytest

DATABASE = {"MARIADB_DATABASE": "blog", "MARIADB_USER": "blog", "MARIADB_PASSWORD": "it's \"hard\": $x"}
ROOT = {"MARIADB_RANDOM_ROOT_PASSWORD": "1", "MARIADB_INITDB_SKIP_TZINFO": "1"}
SITE = {
    "WORDPRESS_DB_HOST": "database",
    "WORDPRESS_DB_NAME": DATABASE["MARIADB_DATABASE"],
    "WORDPRESS_DB_USER": DATABASE["MARIADB_USER"],
    "WORDPRESS_DB_PASSWORD": DATABASE["MARIADB_PASSWORD"],
    "WORDPRESS_TABLE_PREFIX": "tw_",
}
#: WordPress' own installer, without a browser.
INSTALL = (
    "define('WP_INSTALLING', true); $_SERVER['HTTP_HOST'] = 'localhost:8080'; define('WP_SITEURL', 'http://localhost:8080');"
    "require 'wp-load.php'; require ABSPATH . 'wp-admin/includes/upgrade.php';"
    "wp_install('Tierwright', 'admin', 'a@example.org', false, '', 'correct horse');"
)
PORT = 8080


@pytest.fixture(scope="session")
def site(start_once) -> Any:
    """WordPress as its users start it, with the chain's own database; both healthy, nothing installed."""
    database = start_once("mariadb", env={**DATABASE, **ROOT}, alias="database")
    started = start_once(env=SITE)
    started.wait_healthy(timeout=50)
    database.wait_healthy(timeout=50)
    return started


@pytest.fixture(scope="session")
def installed(site) -> Any:
    """The same, installed."""
    php(site, INSTALL)
    return site


def php(site: Any, code: str) -> str:
    """Run PHP in the document root, as the user of the image; tell what it printed."""
    said = site.host.run("php -r %s", code)
    assert said.rc == 0, f"{said.stdout}{said.stderr}"
    printed: str = said.stdout
    return printed
