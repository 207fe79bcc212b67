# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The source of WordPress in the image, and the entrypoint that puts it into the document root."""

from __future__ import annotations

SOURCE = "/usr/src/wordpress"


def test_the_source_is_there_for_group_0(host):
    version = host.file(f"{SOURCE}/wp-includes/version.php")
    assert version.gid == 0
    assert version.mode & 0o060 == 0o060
    assert host.file(f"{SOURCE}/.htaccess").contains("RewriteRule . /index.php")
    assert host.run("find %s ! -group 0 | grep .", SOURCE).rc == 1


def test_php_can_read_every_file(host):
    said = host.run("find %s -name '*.php' -path '*/wp-includes/*.php' -prune -print0 | head -z -n 20 | xargs -0 -n 1 php -l", SOURCE)
    assert said.rc == 0, said.stdout


def test_no_keys_are_part_of_the_image(host):
    assert not host.file(f"{SOURCE}/wp-config.php").exists
    assert host.file(f"{SOURCE}/wp-config-docker.php").content_string.count("put your unique phrase here") == 8


def test_another_command_copies_nothing(start):
    started = start(command=["ls", "-A", "/var/www/html"])
    started.wait(lambda: not started.running, timeout=20)
    assert started.logs().split() == ["wp-content"]
