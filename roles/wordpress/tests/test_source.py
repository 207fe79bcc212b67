# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The source of WordPress in the image, and the entrypoint that puts it into the document root."""

from __future__ import annotations

import pytest

SOURCE = "/usr/src/wordpress"


@pytest.mark.contract
def test_group_0_may_add_to_the_source(host):
    closed = host.check_output("find %s ! -group 0 -o ! -type l ! -perm -g+w", SOURCE).splitlines()
    assert closed == [], f"group 0 may not write to {', '.join(closed[:20])}"
    assert "RewriteRule . /index.php" in host.file(f"{SOURCE}/.htaccess").content_string, (
        f"{SOURCE}/.htaccess lacks its rules"
    )


@pytest.mark.contract
def test_no_keys_are_part_of_the_image(host):
    assert not host.file(f"{SOURCE}/wp-config.php").exists, (
        f"{SOURCE}/wp-config.php would give every container its keys"
    )
    phrases = host.file(f"{SOURCE}/wp-config-docker.php").content_string.count("put your unique phrase here")
    assert phrases == 8, f"wp-config-docker.php leaves {phrases} keys to be made up; expected 8"


@pytest.mark.contract
def test_directories_that_every_user_fills_are_roots(host, image):
    root = image.config["WorkingDir"]
    for path in (root, *(f"{root}/wp-content{name}" for name in ("", "/cache", "/plugins", "/themes"))):
        folder = host.file(path)
        found = (folder.uid, oct(folder.mode))
        assert found == (0, "0o1777"), f"{path} has uid and mode {found}; expected 0 and 0o1777"


def test_this_php_can_read_it(host):
    said = host.run("for file in %s/*.php; do php -l $file >/dev/null || exit 1; done", SOURCE)
    assert said.rc == 0, said.stderr


def test_another_command_copies_nothing(start):
    started = start(command=["ls", "-A", "/var/www/html"])
    assert started.wait_ended() == 0
    assert started.logs().split() == ["wp-content"]


def test_a_command_that_is_not_there_copies_nothing(start):
    started = start(command=["apache2-background"])
    assert started.wait_ended() == 127
    assert "no program 'apache2-background'" in started.logs()
    assert "copying" not in started.logs()


def test_php_fpm_alone_serves_another_web_server(start):
    started = start(command=["php-fpm"])
    started.wait_healthy()
    assert "Complete! WordPress has been successfully copied" in started.logs()


def test_without_settings_it_offers_to_set_itself_up(start):
    started = start()
    started.wait_healthy()
    assert "setup-config.php" in started.http("/").headers["Location"]
