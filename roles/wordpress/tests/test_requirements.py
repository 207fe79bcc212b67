# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What WordPress needs from the image that it stands on."""

from __future__ import annotations

import pytest

#: What WordPress requires and recommends, and the package that brings it
#: (https://make.wordpress.org/hosting/handbook/server-environment/#php-extensions).
NEEDED = {
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


@pytest.mark.parametrize("extension", NEEDED)
def test_php_has_the_extension(host, extension):
    found = host.run("php -r %s", f"exit(extension_loaded('{extension}') ? 0 : 1);")
    assert found.rc == 0, f"WordPress needs PHP's {extension}; the tier below has to install {NEEDED[extension]}"


def test_php_is_new_enough(host):
    compared = "require '/usr/src/wordpress/wp-includes/version.php'; echo PHP_VERSION, ' ', $required_php_version;"
    found, needed = host.check_output("php -r %s", compared).split()
    assert _numbers(found) >= _numbers(needed)


def test_the_database_is_new_enough(installed, php):
    found, needed = php(installed, "echo $wpdb->db_version(), ' ', $GLOBALS['required_mysql_version'];").split()
    assert _numbers(found) >= _numbers(needed)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".")[:3])
