# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests that the lower tiers provide everything that WordPress needs."""

from __future__ import annotations

import pytest

#: PHP extensions that WordPress requires or recommends, and their packages
#: (https://make.wordpress.org/hosting/handbook/server-environment/#php-extensions).
REQUIRED = {
    "mysqli": "php-mysql",
    "curl": "php-curl",
    "dom": "php-xml",
    "exif": "php-common",
    "fileinfo": "php-common",
    "gd": "php-gd",
    "imagick": "php-imagick",
    "intl": "php-intl",
    "mbstring": "php-mbstring",
    "openssl": "php-common",
    "zip": "php-zip",
}


@pytest.fixture(scope="module")
def extensions(host) -> list[str]:
    """The extensions that PHP has loaded, in lower case."""
    return host.check_output("php -r %s", "echo strtolower(implode(' ', get_loaded_extensions()));").split()


@pytest.mark.parametrize("extension", REQUIRED)
def test_php_has_the_extension(extensions, extension):
    assert extension in extensions, (
        f"WordPress needs PHP's {extension}; the parent tier must install {REQUIRED[extension]}"
    )


def test_php_is_new_enough(host):
    code = "require '/usr/src/wordpress/wp-includes/version.php'; echo PHP_VERSION, ' ', $required_php_version;"
    version, required = host.check_output("php -r %s", code).split()
    assert _numbers(version) >= _numbers(required)


def test_the_database_is_new_enough(installed, php):
    version, required = php(installed, "echo $wpdb->db_version(), ' ', $GLOBALS['required_mysql_version'];").split()
    assert _numbers(version) >= _numbers(required)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".")[:3])
