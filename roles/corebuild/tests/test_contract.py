# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the core build asks of every image that stands on it."""

from __future__ import annotations

import ssl

import pytest

pytestmark = pytest.mark.contract

DOCUMENTS = tuple(f"/usr/share/{name}/" for name in ("doc", "info", "lintian", "man"))
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@pytest.mark.parametrize("path", ["/etc/issue", "/etc/issue.net", "/etc/motd"])
def test_the_banner_is_the_organisations(host, promises, path):
    found = host.file(path).content_string
    assert found == promises["banner"], f"{path} is {found!r}; the core build promises {promises['banner']!r}"


def test_an_interactive_shell_shows_the_banner(host, promises):
    # As an engine starts it, without a parent process.
    shown = host.run("exec bash -ic : 2>/dev/null").stdout
    expected = promises["banner"] if promises["banner_in_containers"] else ""
    assert shown == expected, f"an interactive bash shows {shown!r}; the core build promises {expected!r}"


def test_the_trusted_authorities_can_be_read(host):
    bundle = host.file(BUNDLE).content_string
    trusted = ssl.create_default_context(cadata=bundle).cert_store_stats()["x509_ca"]
    assert trusted > 50, f"{BUNDLE} holds {trusted} authorities"
    broken = host.check_output("find -L /etc/ssl/certs -type l")
    assert broken == "", f"links in /etc/ssl/certs that lead nowhere: {broken}; run update-ca-certificates --fresh"


def test_the_organisations_authorities_are_trusted(host, promises):
    bundle = host.file(BUNDLE).content_string
    for name in promises["ca_certificates"]:
        path = f"/usr/local/share/ca-certificates/{name}.crt"
        assert host.file(path).content_string.strip() in bundle, f"{path} is not in {BUNDLE}"


def test_packages_of_every_tier_are_there(host, promises):
    missing = [name for name in promises["packages"] if not host.package(name).is_installed]
    assert missing == [], f"the core build promises {', '.join(missing)}: a tier has removed them"


def test_every_package_is_whole(host):
    audit = host.run("dpkg --audit")
    assert (audit.rc, audit.stdout) == (0, ""), f"dpkg --audit finds packages that are not whole:\n{audit.stdout}"
    check = host.run("apt-get -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= check")
    assert check.rc == 0, f"apt-get check finds dependencies that are not met:\n{check.stderr}"


def test_no_file_of_a_package_is_missing(host):
    lacking = [line.split()[-1] for line in host.run("dpkg --verify").stdout.splitlines() if line.startswith("missing")]
    # Documents are left out on purpose, where this core build does so.
    unasked = [path for path in lacking if not path.startswith(DOCUMENTS)]
    assert unasked == [], f"dpkg --verify misses {', '.join(unasked)}"


@pytest.mark.network
def test_the_archive_can_be_reached_and_is_trusted(host):
    # What the archive signed is enough; lists of packages are large.
    lists = "-o Acquire::IndexTargets::deb::{}::DefaultEnabled=false"
    left_out = " ".join(lists.format(target) for target in ("Packages", "Translations"))
    updated = host.run(f"apt-get update --quiet --error-on=any {left_out}")
    assert (updated.rc, updated.stderr) == (0, ""), f"apt-get update ends with {updated.rc}:\n{updated.stderr}"


def test_setuid_programs_are_on_the_list(host, promises):
    if promises["setuid_allowed"] is None:
        pytest.skip("this core build leaves setuid programs alone")
    found = host.check_output("find / -xdev -type f -perm /6000").split()
    unasked = sorted(set(found) - set(promises["setuid_allowed"]))
    assert unasked == [], (
        f"{', '.join(unasked)} may become another user (setuid or setgid). "
        "Take the bit away in the role that installs it, or add the path to corebuild_setuid_allowed."
    )


@pytest.mark.parametrize(
    ("what", "which"),
    [
        ("directories that everybody may write to, without the sticky bit", "-type d -perm -0002 ! -perm -1000"),
        ("files that everybody may write to", "-type f -perm -0002"),
    ],
)
def test_files_are_safe_from_others(host, what, which):
    found = host.check_output(f"find / -xdev {which}").splitlines()
    assert found == [], f"{what}: {', '.join(found[:20])}"


@pytest.mark.parametrize(
    ("path", "mode"),
    [("passwd", 0o644), ("group", 0o644), ("shadow", 0o640), ("gshadow", 0o640), ("security/opasswd", 0o600)],
)
def test_files_of_accounts_are_closed(host, path, mode):
    file = host.file(f"/etc/{path}")
    if not file.exists:
        pytest.skip(f"there is no /etc/{path}")
    assert (file.uid, file.mode & ~mode) == (0, 0), (
        f"/etc/{path} is of uid {file.uid} with mode {file.mode:04o}; expected root and no more than {mode:04o}"
    )


@pytest.mark.parametrize("shell", ["-ic", "-lc"])
def test_shells_have_the_organisations_umask(host, promises, shell):
    if promises["umask"] is None:
        pytest.skip("this core build leaves the umask alone")
    found = host.run("bash %s umask 2>/dev/null", shell).stdout.split()[-1]
    assert int(found, 8) == int(promises["umask"], 8), (
        f"bash {shell} has the umask {found}; the core build promises {promises['umask']}"
    )


def test_logins_follow_the_policy(host, promises):
    written = [line.split() for line in host.file("/etc/login.defs").content_string.splitlines() if line.strip()]
    for name, value in promises["login_defs"].items():
        found = [words[1] for words in written if words[0] == name]
        assert found == [str(value)], f"/etc/login.defs has {name} {found}; the core build promises {value}"


def test_passwords_are_kept_as_promised(host, promises):
    file = host.file("/etc/pam.d/common-password")
    if not (promises["password_options"] and file.exists):
        pytest.skip("this core build leaves the hashing of passwords alone")
    line = next(line for line in file.content_string.splitlines() if "pam_unix.so" in line)
    missing = [
        f"{name}={value}" for name, value in promises["password_options"].items() if f" {name}={value}" not in line
    ]
    assert missing == [], f"/etc/pam.d/common-password lacks {', '.join(missing)}: {line}"


def test_the_account_of_applications_is_there(host, promises):
    if promises["user"] is None:
        pytest.skip("this core build makes no account")
    user = host.user(promises["user"]["name"])
    found, expected = (user.uid, user.gid, user.home), (promises["user"]["uid"], 0, promises["user"]["home"])
    assert found == expected, f"{user.name} has uid, gid and home {found}; the core build promises {expected}"
    assert user.shell.endswith("/nologin"), f"{user.name} can log in with {user.shell}; expected nologin"


def test_root_has_no_password(host, promises):
    if not promises["root_locked"]:
        pytest.skip("this core build does not lock root")
    assert host.user("root").password.startswith(("!", "*")), (
        "root has a password; the core build promises a locked one"
    )


def test_no_account_has_an_empty_password(host):
    accounts = [line.split(":") for line in host.file("/etc/shadow").content_string.splitlines()]
    assert [account[0] for account in accounts if account[1] == ""] == [], "accounts that need no password"


def test_no_other_account_is_root(host):
    roots = [line for line in host.file("/etc/passwd").content_string.splitlines() if line.split(":")[2] == "0"]
    names = [line.split(":")[0] for line in roots]
    assert names == ["root"], f"accounts with uid 0 in /etc/passwd: {', '.join(names)}; expected root alone"


def test_a_service_does_not_run_as_root(image, start):
    if not image.config.get("ExposedPorts"):
        pytest.skip("this image serves nothing")
    started = start(command=["id", "-u"])
    status = started.wait_ended()
    assert status == 0, f"'id -u' in a container of this image ends with status {status}; its log: {started.logs()}"
    user = image.config.get("User") or "not set"
    assert started.logs().split()[-1] != "0", (
        f"a container of this image serves {', '.join(image.config['ExposedPorts'])} and runs as root: "
        f"its user is {user}. Set 'user' in tier_config to an account without privileges."
    )


def test_nothing_of_the_build_is_left(host):
    for path in ("/dev/tierwright", "/dev/tierwright-python", "/root/.ansible", "/root/.bash_history"):
        assert not host.file(path).exists, f"{path} is of the build and is still there"
    left = host.check_output("find /var/lib/apt/lists /var/cache/apt /tmp /var/tmp -type f ! -name lock")
    assert left == "", f"lists, caches and temporary files of the build: {left}"
    logs = host.check_output("find /var/log -type f -size +0")
    assert logs == "", f"logs of the build: {logs}"
    assert host.run("test -s /etc/machine-id").rc != 0, "/etc/machine-id tells containers apart that are the same"


def test_python_leaves_nothing_where_there_is_none(host):
    if host.exists("python3"):
        pytest.skip("a role has installed Python")
    left = host.check_output("find / -xdev -name __pycache__ -o -xdev -name '*.pyc'")
    assert left == "", f"byte code, but no Python: {left}"
