# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contract of the watcher: tests of every image that is based on it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.contract


def test_only_root_can_change_tierwright(host):
    others = host.check_output(r"find /opt/tierwright ! -type l \( ! -user root -o -perm /022 \) | head -n 5")
    assert others == "", f"accounts other than root can change what the watcher runs: {others}"


def test_nothing_is_missing_from_its_packages(host):
    result = host.run("/opt/tierwright/bin/ansible-playbook --version && /opt/tierwright/bin/tierwright watch --help")
    assert result.rc == 0, f"the watcher cannot start: {result.stdout} {result.stderr}"


def test_the_state_is_a_volume_that_group_0_can_write_to(host, image):
    assert "/var/lib/tierwright" in (image.config["Volumes"] or {}), "/var/lib/tierwright is not a volume of this image"
    folder = host.file("/var/lib/tierwright")
    actual = (folder.gid, oct(folder.mode))
    assert actual == (0, "0o770"), f"/var/lib/tierwright has group and mode {actual}; expected 0 and 0o770"


def test_no_user_of_the_image_is_root(image):
    user = image.config["User"]
    assert user.partition(":")[0] not in {"", "0", "root"}, (
        f"the image runs as {user!r}; expected an account without rights"
    )
