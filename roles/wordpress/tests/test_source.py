# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The source of WordPress in the image, and the entrypoint that puts it into the document root."""

from __future__ import annotations

import pytest

SOURCE = "/usr/src/wordpress"


@pytest.mark.contract
def test_group_0_may_add_to_the_source(host):
    assert host.check_output("find %s ! -group 0 -o ! -type l ! -perm -g+w", SOURCE) == ""
    assert "RewriteRule . /index.php" in host.file(f"{SOURCE}/.htaccess").content_string


@pytest.mark.contract
def test_no_keys_are_part_of_the_image(host):
    assert not host.file(f"{SOURCE}/wp-config.php").exists
    assert host.file(f"{SOURCE}/wp-config-docker.php").content_string.count("put your unique phrase here") == 8


def test_this_php_can_read_it(host):
    said = host.run("for file in %s/*.php; do php -l $file >/dev/null || exit 1; done", SOURCE)
    assert said.rc == 0, said.stderr


def test_another_command_copies_nothing(start):
    started = start(command=["ls", "-A", "/var/www/html"])
    assert started.wait_ended() == 0
    assert started.logs().split() == ["wp-content"]


def test_without_settings_it_offers_to_set_itself_up(start):
    started = start()
    started.wait_healthy()
    assert "setup-config.php" in started.http("/").headers["Location"]
