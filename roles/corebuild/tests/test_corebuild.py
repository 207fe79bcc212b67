# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests of the core build's own image."""

from __future__ import annotations

import pytest


def test_locale_and_time_zone_have_the_promised_values(host, image, promises):
    assert f"LANG={promises['locale']}" in image.config["Env"]
    charmap = host.run("locale charmap").stdout.strip()
    assert charmap == "UTF-8", f"'locale charmap' prints {charmap}; expected UTF-8"
    zone, linked = promises["timezone"], host.file("/etc/localtime").linked_to
    assert linked.endswith(zone.split("/")[-1]), f"/etc/localtime links to {linked}; expected {zone}"
    assert host.file("/etc/timezone").content_string.strip() == zone, f"/etc/timezone does not contain {zone}"


@pytest.mark.parametrize(
    "setting",
    ['Acquire::Languages:: "none";', 'APT::Install-Recommends "false";', 'APT::Install-Suggests "false";'],
)
def test_apt_does_not_install_recommended_packages_and_translations(host, setting):
    assert setting in host.check_output("apt-config dump").splitlines(), f"apt-config dump does not print {setting}"


def test_packages_have_no_documentation(host):
    assert host.check_output("dpkg-query --showformat='${binary:Package}' --show procps") == "procps"
    documents = host.check_output("find /usr/share/doc/procps -type f ! -name copyright")
    assert documents == "", f"documentation of the package procps: {documents}"
    assert host.file("/usr/share/doc/procps/copyright").exists, "the package procps has no copyright file"


def test_apt_keeps_no_caches_in_images_built_by_other_tools(host, promises):
    if promises["apt_keeps_caches"]:
        pytest.skip("in this core build, apt keeps its caches")
    settings = host.check_output("apt-config dump").splitlines()
    for wanted in ('APT::Keep-Downloaded-Packages "false";', 'Dir::Cache::pkgcache "";', 'Dir::Cache::srcpkgcache "";'):
        assert wanted in settings, f"apt-config dump does not print {wanted}"


def test_logs_are_not_readable_for_others(host, promises):
    if not promises["private_logs"]:
        pytest.skip("this core build does not change the modes of logs")
    logs = host.check_output("find /var/log -maxdepth 1 -type f -perm /0137")
    assert logs == "", f"logs that others may read, or their group may write: {logs}"


def test_sudo_has_the_promised_defaults(host, promises):
    if not promises["sudo_defaults"]:
        pytest.skip("this core build does not configure sudo")
    file = host.file("/etc/sudoers.d/80-corebuild")
    assert (file.uid, f"{file.mode:04o}") == (0, "0440"), f"{file.path} has uid {file.uid}, mode {file.mode:04o}"
    lines = file.content_string.splitlines()
    assert lines[1:] == [f"Defaults {setting}" for setting in promises["sudo_defaults"]]


def test_core_dumps_are_disabled(host, promises):
    if promises["core_dumps"]:
        pytest.skip("this core build does not disable core dumps")
    path = "/etc/security/limits.d/80-corebuild.conf"
    assert "*     hard  core  0" in host.file(path).content_string, f"{path} does not disable core dumps"


def test_image_has_no_python(host):
    assert not host.exists("python3"), (
        "the core build contains Python; expected none, because tasks run with the mounted Python"
    )


@pytest.mark.parametrize("user", ["1001", "12345:0"])
def test_applications_can_write_to_their_home(start, promises, user):
    if promises["user"] is None:
        pytest.skip("this core build creates no account")
    started = start(user=user, command=["touch", f"{promises['user']['home']}/written"])
    status = started.wait_ended()
    assert status == 0, f"user {user} cannot write to {promises['user']['home']} (status {status}): {started.logs()}"
