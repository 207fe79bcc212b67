"""The archive of packages that tests serve is signed, and equal packages give equal files."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deb822 import checksums, paragraphs
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.apt_sources import CHECKED, check
from debian_archive import DebianArchive, SigningKey, missing_programs, newer_package

pytestmark = pytest.mark.skipif(bool(missing_programs()), reason=missing_programs() or "-")
CONTROL = "Package: ssl\nVersion: 1:1.0-2\nArchitecture: all\nMaintainer: Ops <ops@example.org>\nDescription: it\n"


@pytest.fixture
def key():
    key = SigningKey()
    yield key
    key.close()


@pytest.fixture
def package(tmp_path):
    tree = tmp_path / "ssl"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(CONTROL)
    subprocess.run(["dpkg-deb", "--build", tree, tmp_path / "ssl.deb"], check=True, capture_output=True)
    return tmp_path / "ssl.deb"


def test_a_newer_package_has_a_higher_version_and_another_file(package, tmp_path):
    newer = newer_package(package, tmp_path, "+deb12u99", "usr/share/ssl/fixed", "yes\n")
    assert newer.name == "ssl_1.0-2+deb12u99_all.deb"
    assert subprocess.check_output(["dpkg-deb", "--field", newer, "Version"], text=True) == "1:1.0-2+deb12u99\n"
    assert "./usr/share/ssl/fixed" in subprocess.check_output(["dpkg-deb", "--contents", newer], text=True)
    again = tmp_path / "again"
    again.mkdir()
    assert newer_package(package, again, "+deb12u99", "usr/share/ssl/fixed", "yes\n").read_bytes() == newer.read_bytes()


def test_the_archive_is_signed_and_lists_its_packages(package, tmp_path, key):
    archive = DebianArchive(tmp_path / "archive", key)
    first = (archive.folder / "dists/corebuild-security/InRelease").read_bytes()
    archive.publish(package)
    content, signature = check(
        (archive.folder / "dists/corebuild-security/InRelease").read_bytes(), [key.public.encode()]
    )
    assert signature == CHECKED
    (release,) = paragraphs(content.decode())
    (entry,) = checksums(release, "sha256")
    index = archive.folder / "dists/corebuild-security" / entry.path
    assert index.stat().st_size == entry.size
    (stanza,) = paragraphs(index.read_text())
    assert (stanza["package"], stanza["filename"]) == ("ssl", "pool/ssl.deb")
    assert check(first, [key.public.encode()])[0] != content
