# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the database asks of every image that stands on it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.contract


def test_the_image_holds_no_database(host):
    assert host.check_output("find /var/lib/mysql -mindepth 1") == ""


def test_volumes_keep_their_owner(host, image):
    assert "/var/lib/mysql" in image.config["Volumes"]
    folder = host.file("/var/lib/mysql")
    assert (folder.user, str(folder.uid), folder.gid, oct(folder.mode)) == ("mysql", image.config["User"], 0, "0o770")


def test_an_empty_volume_without_a_password_is_refused(start):
    started = start()
    assert started.wait_ended() == 1
    assert "MARIADB_RANDOM_ROOT_PASSWORD=1" in started.logs()
