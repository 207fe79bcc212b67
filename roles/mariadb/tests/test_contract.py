# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the database asks of every image that stands on it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.contract


def test_the_image_holds_no_database(host):
    found = host.check_output("find /var/lib/mysql -mindepth 1")
    assert found == "", f"every container of this image would start with the same data in /var/lib/mysql: {found}"


def test_volumes_keep_their_owner(host, image):
    assert "/var/lib/mysql" in (image.config["Volumes"] or {}), "/var/lib/mysql is no volume of this image any more"
    folder = host.file("/var/lib/mysql")
    found = (folder.user, str(folder.uid), folder.gid, oct(folder.mode))
    expected = ("mysql", image.config["User"], 0, "0o770")
    assert found == expected, f"/var/lib/mysql has user, uid, gid and mode {found}; volumes expect {expected}"


def test_an_empty_volume_without_a_password_is_refused(start):
    started = start()
    status = started.wait_ended()
    assert status == 1, f"without a password for root the container ends with {status}; expected 1: {started.logs()}"
    assert "MARIADB_RANDOM_ROOT_PASSWORD=1" in started.logs(), f"its log does not say what to set: {started.logs()}"
