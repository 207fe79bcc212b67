# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What WordPress needs from the image that it stands on."""

from __future__ import annotations

import pytest

#: What the handbook asks for (https://make.wordpress.org/hosting/handbook/server-environment/#php-extensions), by the
#: package that brings it.
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
    assert found.rc == 0, f"PHP has no {extension}; {NEEDED[extension]} brings it, which httpd-php used to install"


def test_php_is_new_enough(host):
    needed = host.check_output("php -r %s", "require '/usr/src/wordpress/wp-includes/version.php'; echo $required_php_version;")
    assert host.run("php -r %s", f"exit(version_compare(PHP_VERSION, '{needed}', '>=') ? 0 : 1);").rc == 0


def test_the_database_client_of_php_is_new_enough(site, host):
    needed = host.check_output(
        "php -r %s", "require '/usr/src/wordpress/wp-includes/version.php'; echo $required_mysql_version;"
    )
    version = site.host.check_output("php -r %s", _server_version())
    assert tuple(map(int, version.split("-")[0].split("."))) >= tuple(map(int, needed.split(".")))


def _server_version() -> str:
    return (
        "$c = new mysqli(getenv('WORDPRESS_DB_HOST'), getenv('WORDPRESS_DB_USER'), getenv('WORDPRESS_DB_PASSWORD'));"
        "echo preg_replace('/^5[.]5[.]5-/', '', $c->server_info);"
    )
