# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests of the source of WordPress in the image, and of the entrypoint that copies it to the document root."""

from __future__ import annotations

import pytest

SOURCE = "/usr/src/wordpress"


@pytest.mark.contract
def test_source_is_writable_for_group_0(host):
    read_only = host.check_output("find %s ! -group 0 -o ! -type l ! -perm -g+w", SOURCE).splitlines()
    assert read_only == [], f"group 0 may not write to {', '.join(read_only[:20])}"
    assert "RewriteRule . /index.php" in host.file(f"{SOURCE}/.htaccess").content_string, (
        f"{SOURCE}/.htaccess does not contain the rewrite rules"
    )


@pytest.mark.contract
def test_image_contains_no_keys(host):
    assert not host.file(f"{SOURCE}/wp-config.php").exists, (
        f"with {SOURCE}/wp-config.php, every container would have the same keys"
    )
    phrases = host.file(f"{SOURCE}/wp-config-docker.php").content_string.count("put your unique phrase here")
    assert phrases == 8, f"wp-config-docker.php has {phrases} placeholders for keys; expected 8"


@pytest.mark.contract
def test_directories_that_all_users_may_write_to_belong_to_root(host, image):
    root = image.config["WorkingDir"]
    for path in (root, *(f"{root}/wp-content{name}" for name in ("", "/cache", "/plugins", "/themes"))):
        folder = host.file(path)
        actual = (folder.uid, oct(folder.mode))
        assert actual == (0, "0o1777"), f"{path} has uid and mode {actual}; expected 0 and 0o1777"


def test_php_can_parse_the_source(host):
    result = host.run("for file in %s/*.php; do php -l $file >/dev/null || exit 1; done", SOURCE)
    assert result.rc == 0, result.stderr


def test_other_commands_copy_nothing(start):
    started = start(command=["ls", "-A", "/var/www/html"])
    assert started.wait_ended() == 0
    assert started.logs().split() == ["wp-content"]


def test_missing_command_copies_nothing(start):
    started = start(command=["apache2-background"])
    assert started.wait_ended() == 127
    assert "no program 'apache2-background'" in started.logs()
    assert "copying" not in started.logs()


def test_php_fpm_can_run_without_apache(start):
    started = start(command=["php-fpm"])
    started.wait_healthy()
    assert "Complete! WordPress has been successfully copied" in started.logs()


def test_without_settings_the_setup_page_is_shown(start):
    started = start()
    started.wait_healthy()
    assert "setup-config.php" in started.http("/").headers["Location"]
