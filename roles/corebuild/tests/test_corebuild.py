# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The core build itself."""

from __future__ import annotations

import pytest


def test_locale_and_time_zone_are_the_chosen_ones(host, image, promises):
    assert f"LANG={promises['locale']}" in image.config["Env"]
    assert host.run("locale charmap").stdout.strip() == "UTF-8"
    assert host.file("/etc/localtime").linked_to.endswith(promises["timezone"].split("/")[-1])
    assert host.file("/etc/timezone").content_string.strip() == promises["timezone"]


@pytest.mark.parametrize(
    "setting",
    ['Acquire::Languages:: "none";', 'APT::Install-Recommends "false";', 'APT::Install-Suggests "false";'],
)
def test_apt_brings_what_is_needed_and_no_more(host, setting):
    assert setting in host.check_output("apt-config dump").splitlines()


def test_packages_come_without_documents(host):
    assert host.check_output("dpkg-query --showformat='${binary:Package}' --show procps") == "procps"
    assert host.check_output("find /usr/share/doc/procps -type f ! -name copyright") == ""
    assert host.file("/usr/share/doc/procps/copyright").exists


def test_logins_follow_the_policy(host, promises):
    written = [line.split() for line in host.file("/etc/login.defs").content_string.splitlines() if line.strip()]
    for name, value in promises["login_defs"].items():
        assert [words[1] for words in written if words[0] == name] == [str(value)]


def test_core_dumps_are_off(host, promises):
    if promises["core_dumps"]:
        pytest.skip("this core build leaves core dumps alone")
    assert "*     hard  core  0" in host.file("/etc/security/limits.d/80-corebuild.conf").content_string


def test_it_brings_no_python(host):
    assert not host.exists("python3")


@pytest.mark.parametrize("user", ["1001", "12345:0"])
def test_applications_may_write_to_their_home(start, promises, user):
    if promises["user"] is None:
        pytest.skip("this core build makes no account")
    started = start(user=user, command=["touch", f"{promises['user']['home']}/written"])
    assert started.wait_ended() == 0, started.logs()
