# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the core build asks of every image that stands on it."""

from __future__ import annotations

import ssl

import pytest

pytestmark = pytest.mark.contract

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@pytest.mark.parametrize("path", ["/etc/issue", "/etc/issue.net", "/etc/motd"])
def test_the_banner_is_the_organisations(host, promises, path):
    assert host.file(path).content_string == promises["banner"]


def test_an_interactive_shell_shows_the_banner(host, promises):
    # As an engine starts it, without a parent process.
    shown = host.run("exec bash -ic : 2>/dev/null").stdout
    assert shown == (promises["banner"] if promises["banner_in_containers"] else "")


def test_the_trusted_authorities_can_be_read(host):
    bundle = host.file(BUNDLE).content_string
    trusted = ssl.create_default_context(cadata=bundle).cert_store_stats()["x509_ca"]
    assert trusted > 50, f"{BUNDLE} holds {trusted} authorities"
    assert host.check_output("find -L /etc/ssl/certs -type l") == ""


def test_the_organisations_authorities_are_trusted(host, promises):
    bundle = host.file(BUNDLE).content_string
    for name in promises["ca_certificates"]:
        path = f"/usr/local/share/ca-certificates/{name}.crt"
        assert host.file(path).content_string.strip() in bundle, f"{path} is not in {BUNDLE}"


def test_packages_of_every_tier_are_there(host, promises):
    missing = [name for name in promises["packages"] if not host.package(name).is_installed]
    assert missing == []


def test_every_package_is_whole(host):
    audit = host.run("dpkg --audit")
    assert (audit.rc, audit.stdout) == (0, "")
    assert host.run("apt-get -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= check").rc == 0


@pytest.mark.network
def test_the_archive_can_be_reached_and_is_trusted(host):
    # What the archive signed is enough; lists of packages are large.
    lists = "-o Acquire::IndexTargets::deb::{}::DefaultEnabled=false"
    left_out = " ".join(lists.format(target) for target in ("Packages", "Translations"))
    updated = host.run(f"apt-get update --quiet --error-on=any {left_out}")
    assert (updated.rc, updated.stderr) == (0, "")


def test_setuid_programs_are_on_the_list(host, promises):
    if promises["setuid_allowed"] is None:
        pytest.skip("this core build leaves setuid programs alone")
    found = host.check_output("find / -xdev -type f -perm /6000").split()
    assert sorted(set(found) - set(promises["setuid_allowed"])) == []


def test_directories_that_everybody_may_write_to_are_sticky(host):
    assert host.check_output("find / -xdev -type d -perm -0002 ! -perm -1000") == ""


def test_the_account_of_applications_is_there(host, promises):
    if promises["user"] is None:
        pytest.skip("this core build makes no account")
    user = host.user(promises["user"]["name"])
    assert (user.uid, user.gid, user.home) == (promises["user"]["uid"], 0, promises["user"]["home"])
    assert user.shell.endswith("/nologin")


def test_root_has_no_password(host, promises):
    if not promises["root_locked"]:
        pytest.skip("this core build does not lock root")
    assert host.user("root").password.startswith(("!", "*"))


def test_no_other_account_is_root(host):
    roots = [line for line in host.file("/etc/passwd").content_string.splitlines() if line.split(":")[2] == "0"]
    assert [line.split(":")[0] for line in roots] == ["root"]


def test_a_service_does_not_run_as_root(image, start):
    if not image.config.get("ExposedPorts"):
        pytest.skip("this image serves nothing")
    started = start(command=["id", "-u"])
    assert started.wait_ended() == 0, started.logs()
    assert started.logs().split()[-1] != "0"


def test_nothing_of_the_build_is_left(host):
    for path in ("/dev/tierwright", "/dev/tierwright-python", "/root/.ansible", "/root/.bash_history"):
        assert not host.file(path).exists, path
    assert host.check_output("find /var/lib/apt/lists /var/cache/apt /tmp /var/tmp -type f ! -name lock") == ""
    assert host.check_output("find /var/log -type f -size +0") == ""
    assert host.run("test -s /etc/machine-id").rc != 0, "/etc/machine-id tells containers apart that are the same"


def test_python_leaves_nothing_where_there_is_none(host):
    if host.exists("python3"):
        pytest.skip("a role has installed Python")
    assert host.check_output("find / -xdev -name __pycache__ -o -xdev -name '*.pyc'") == ""
