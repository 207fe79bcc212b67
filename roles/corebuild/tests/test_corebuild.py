# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The core build itself."""

from __future__ import annotations

import pytest


def test_locale_and_time_zone_are_the_chosen_ones(host, image, promises):
    assert f"LANG={promises['locale']}" in image.config["Env"]
    charmap = host.run("locale charmap").stdout.strip()
    assert charmap == "UTF-8", f"'locale charmap' prints {charmap}; expected UTF-8"
    zone, linked = promises["timezone"], host.file("/etc/localtime").linked_to
    assert linked.endswith(zone.split("/")[-1]), f"/etc/localtime leads to {linked}; the time zone is {zone}"
    assert host.file("/etc/timezone").content_string.strip() == zone, f"/etc/timezone does not say {zone}"


@pytest.mark.parametrize(
    "setting",
    ['Acquire::Languages:: "none";', 'APT::Install-Recommends "false";', 'APT::Install-Suggests "false";'],
)
def test_apt_brings_what_is_needed_and_no_more(host, setting):
    assert setting in host.check_output("apt-config dump").splitlines(), f"apt-config dump does not say {setting}"


def test_packages_come_without_documents(host):
    assert host.check_output("dpkg-query --showformat='${binary:Package}' --show procps") == "procps"
    documents = host.check_output("find /usr/share/doc/procps -type f ! -name copyright")
    assert documents == "", f"documents of the package procps: {documents}"
    assert host.file("/usr/share/doc/procps/copyright").exists, "the package procps came without its copyright file"


def test_apt_leaves_nothing_in_images_that_a_dockerfile_builds_on_this_one(host, promises):
    if promises["apt_keeps_caches"]:
        pytest.skip("this core build lets apt keep its caches")
    settings = host.check_output("apt-config dump").splitlines()
    for wanted in ('APT::Keep-Downloaded-Packages "false";', 'Dir::Cache::pkgcache "";', 'Dir::Cache::srcpkgcache "";'):
        assert wanted in settings, f"apt-config dump does not say {wanted}"


def test_logs_are_closed_to_others(host, promises):
    if not promises["private_logs"]:
        pytest.skip("this core build leaves the modes of logs alone")
    opened = host.check_output("find /var/log -maxdepth 1 -type f -perm /0137")
    assert opened == "", f"logs that others may read, or their group may write: {opened}"


def test_sudo_has_the_organisations_defaults(host, promises):
    if not promises["sudo_defaults"]:
        pytest.skip("this core build leaves sudo alone")
    file = host.file("/etc/sudoers.d/80-corebuild")
    assert (file.uid, f"{file.mode:04o}") == (0, "0440"), f"{file.path} has uid {file.uid}, mode {file.mode:04o}"
    lines = file.content_string.splitlines()
    assert lines[1:] == [f"Defaults {setting}" for setting in promises["sudo_defaults"]]


def test_core_dumps_are_off(host, promises):
    if promises["core_dumps"]:
        pytest.skip("this core build leaves core dumps alone")
    path = "/etc/security/limits.d/80-corebuild.conf"
    assert "*     hard  core  0" in host.file(path).content_string, f"{path} does not turn core dumps off"


def test_it_brings_no_python(host):
    assert not host.exists("python3"), (
        "the core build holds Python, which its tasks bring along and do not leave behind"
    )


@pytest.mark.parametrize("user", ["1001", "12345:0"])
def test_applications_may_write_to_their_home(start, promises, user):
    if promises["user"] is None:
        pytest.skip("this core build makes no account")
    started = start(user=user, command=["touch", f"{promises['user']['home']}/written"])
    status = started.wait_ended()
    assert status == 0, f"user {user} cannot write to {promises['user']['home']} (status {status}): {started.logs()}"
