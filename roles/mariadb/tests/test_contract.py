# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contract of the database: tests of every image that is based on it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.contract


def test_image_contains_no_database(host):
    files = host.check_output("find /var/lib/mysql -mindepth 1")
    assert files == "", f"every container of this image would start with the same data in /var/lib/mysql: {files}"


def test_data_directory_is_a_volume_with_the_expected_owner(host, image):
    assert "/var/lib/mysql" in (image.config["Volumes"] or {}), "/var/lib/mysql is not a volume of this image"
    folder = host.file("/var/lib/mysql")
    actual = (folder.user, str(folder.uid), folder.gid, oct(folder.mode))
    expected = ("mysql", image.config["User"], 0, "0o770")
    assert actual == expected, f"/var/lib/mysql has user, uid, gid and mode {actual}; existing volumes need {expected}"


def test_empty_volume_without_a_password_is_rejected(start):
    started = start()
    status = started.wait_ended()
    assert status == 1, f"without a password of root, the container ends with {status}; expected 1: {started.logs()}"
    assert "MARIADB_RANDOM_ROOT_PASSWORD=1" in started.logs(), f"its log does not name the variables: {started.logs()}"
