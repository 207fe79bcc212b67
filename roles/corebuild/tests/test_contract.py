# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contract of the core build: tests of every image that is based on it."""

from __future__ import annotations

import ssl

import pytest

pytestmark = pytest.mark.contract

DOCUMENTS = tuple(f"/usr/share/{name}/" for name in ("doc", "info", "lintian", "man"))
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@pytest.mark.parametrize("path", ["/etc/issue", "/etc/issue.net", "/etc/motd"])
def test_banner_is_the_organisations_banner(host, promises, path):
    content = host.file(path).content_string
    assert content == promises["banner"], f"{path} is {content!r}; the core build promises {promises['banner']!r}"


def test_an_interactive_shell_shows_the_banner(host, promises):
    # The shell has no parent process, as if an engine had started it.
    shown = host.run("exec bash -ic : 2>/dev/null").stdout
    expected = promises["banner"] if promises["banner_in_containers"] else ""
    assert shown == expected, f"an interactive bash shows {shown!r}; the core build promises {expected!r}"


def test_bundle_of_trusted_authorities_is_valid(host):
    bundle = host.file(BUNDLE).content_string
    trusted = ssl.create_default_context(cadata=bundle).cert_store_stats()["x509_ca"]
    assert trusted > 50, f"{BUNDLE} contains {trusted} authorities; expected more than 50"
    broken = host.check_output("find -L /etc/ssl/certs -type l")
    assert broken == "", f"broken links in /etc/ssl/certs: {broken}; run update-ca-certificates --fresh"


def test_the_organisations_authorities_are_trusted(host, promises):
    bundle = host.file(BUNDLE).content_string
    for name in promises["ca_certificates"]:
        path = f"/usr/local/share/ca-certificates/{name}.crt"
        assert host.file(path).content_string.strip() in bundle, f"{path} is not in {BUNDLE}"


def test_promised_packages_are_installed(host, promises):
    missing = [name for name in promises["packages"] if not host.package(name).is_installed]
    assert missing == [], f"a tier has removed packages that the core build promises: {', '.join(missing)}"


def test_every_package_is_completely_installed(host):
    audit = host.run("dpkg --audit")
    assert (audit.rc, audit.stdout) == (0, ""), f"dpkg --audit reports incomplete packages:\n{audit.stdout}"
    check = host.run("apt-get -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= check")
    assert check.rc == 0, f"apt-get check reports missing dependencies:\n{check.stderr}"


def test_no_file_of_a_package_is_missing(host):
    missing = [line.split()[-1] for line in host.run("dpkg --verify").stdout.splitlines() if line.startswith("missing")]
    # The core build may omit documentation on purpose.
    unexpected = [path for path in missing if not path.startswith(DOCUMENTS)]
    assert unexpected == [], f"dpkg --verify reports missing files: {', '.join(unexpected)}"


@pytest.mark.network
def test_package_archive_is_reachable_and_trusted(host):
    # The signed index of the archive is enough. Lists of packages are large.
    lists = "-o Acquire::IndexTargets::deb::{}::DefaultEnabled=false"
    left_out = " ".join(lists.format(target) for target in ("Packages", "Translations"))
    updated = host.run(f"apt-get update --quiet --error-on=any {left_out}")
    assert (updated.rc, updated.stderr) == (0, ""), f"apt-get update ends with {updated.rc}:\n{updated.stderr}"


def test_only_allowed_programs_are_setuid(host, promises):
    if promises["setuid_allowed"] is None:
        pytest.skip("this core build does not change setuid programs")
    programs = host.check_output("find / -xdev -type f -perm /6000").split()
    unexpected = sorted(set(programs) - set(promises["setuid_allowed"]))
    assert unexpected == [], (
        f"programs with a setuid or setgid bit that is not allowed: {', '.join(unexpected)}. "
        "Remove the bit in the role that installs the program, or add its path to corebuild_setuid_allowed."
    )


@pytest.mark.parametrize(
    ("description", "condition"),
    [
        ("directories that everybody may write to, without the sticky bit", "-type d -perm -0002 ! -perm -1000"),
        ("files that everybody may write to", "-type f -perm -0002"),
    ],
)
def test_no_file_is_writable_for_everybody(host, description, condition):
    paths = host.check_output(f"find / -xdev {condition}").splitlines()
    assert paths == [], f"{description}: {', '.join(paths[:20])}"


@pytest.mark.parametrize(
    ("path", "mode"),
    [("passwd", 0o644), ("group", 0o644), ("shadow", 0o640), ("gshadow", 0o640), ("security/opasswd", 0o600)],
)
def test_files_of_accounts_have_strict_modes(host, path, mode):
    file = host.file(f"/etc/{path}")
    if not file.exists:
        pytest.skip(f"there is no /etc/{path}")
    assert (file.uid, file.mode & ~mode) == (0, 0), (
        f"/etc/{path} belongs to uid {file.uid} and has mode {file.mode:04o}; expected root, and at most {mode:04o}"
    )


@pytest.mark.parametrize("shell", ["-ic", "-lc"])
def test_shells_have_the_organisations_umask(host, promises, shell):
    if promises["umask"] is None:
        pytest.skip("this core build does not set the umask")
    umask = host.run("bash %s umask 2>/dev/null", shell).stdout.split()[-1]
    assert int(umask, 8) == int(promises["umask"], 8), (
        f"bash {shell} has the umask {umask}; the core build promises {promises['umask']}"
    )


def test_login_defs_have_the_promised_values(host, promises):
    settings = [line.split() for line in host.file("/etc/login.defs").content_string.splitlines() if line.strip()]
    for name, value in promises["login_defs"].items():
        values = [words[1] for words in settings if words[0] == name]
        assert values == [str(value)], f"/etc/login.defs has {name} {values}; the core build promises {value}"


def test_passwords_are_hashed_as_promised(host, promises):
    file = host.file("/etc/pam.d/common-password")
    if not (promises["password_options"] and file.exists):
        pytest.skip("this core build does not set the hashing of passwords")
    line = next(line for line in file.content_string.splitlines() if "pam_unix.so" in line)
    missing = [
        f"{name}={value}" for name, value in promises["password_options"].items() if f" {name}={value}" not in line
    ]
    assert missing == [], f"/etc/pam.d/common-password lacks {', '.join(missing)}: {line}"


def test_application_account_exists(host, promises):
    if promises["user"] is None:
        pytest.skip("this core build creates no account")
    user = host.user(promises["user"]["name"])
    actual, expected = (user.uid, user.gid, user.home), (promises["user"]["uid"], 0, promises["user"]["home"])
    assert actual == expected, f"{user.name} has uid, gid and home {actual}; the core build promises {expected}"
    assert user.shell.endswith("/nologin"), f"{user.name} can log in with {user.shell}; expected nologin"


def test_password_of_root_is_locked(host, promises):
    if not promises["root_locked"]:
        pytest.skip("this core build does not lock root")
    assert host.user("root").password.startswith(("!", "*")), (
        "root has a password; the core build promises a locked password"
    )


def test_no_account_has_an_empty_password(host):
    accounts = [line.split(":") for line in host.file("/etc/shadow").content_string.splitlines()]
    assert [account[0] for account in accounts if account[1] == ""] == [], "accounts with an empty password"


def test_no_other_account_is_root(host):
    roots = [line for line in host.file("/etc/passwd").content_string.splitlines() if line.split(":")[2] == "0"]
    names = [line.split(":")[0] for line in roots]
    assert names == ["root"], f"accounts with uid 0 in /etc/passwd: {', '.join(names)}; expected only root"


def test_a_service_does_not_run_as_root(image, start):
    if not image.config.get("ExposedPorts"):
        pytest.skip("this image exposes no ports")
    started = start(command=["id", "-u"])
    status = started.wait_ended()
    assert status == 0, f"'id -u' in a container of this image ends with status {status}; its log: {started.logs()}"
    user = image.config.get("User") or "not set"
    assert started.logs().split()[-1] != "0", (
        f"a container of this image exposes {', '.join(image.config['ExposedPorts'])} and runs as root: "
        f"its user is {user}. Set 'user' in tier_config to an unprivileged account."
    )


def test_image_has_no_remains_of_the_build(host):
    for path in ("/dev/tierwright", "/dev/tierwright-python", "/root/.ansible", "/root/.bash_history"):
        assert not host.file(path).exists, f"{path} is a remain of the build"
    left = host.check_output("find /var/lib/apt/lists /var/cache/apt /tmp /var/tmp -type f ! -name lock")
    assert left == "", f"package lists, caches and temporary files of the build: {left}"
    logs = host.check_output("find /var/log -type f -size +0")
    assert logs == "", f"logs of the build: {logs}"
    assert host.run("test -s /etc/machine-id").rc != 0, (
        "/etc/machine-id is not empty, so all containers have the same machine ID"
    )


def test_image_without_python_has_no_byte_code(host):
    if host.exists("python3"):
        pytest.skip("a role has installed Python")
    left = host.check_output("find / -xdev -name __pycache__ -o -xdev -name '*.pyc'")
    assert left == "", f"the image has byte code, but no Python: {left}"
