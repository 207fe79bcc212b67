"""Package URLs, compared with the library of the specification's authors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.entries import InstalledPackage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.merged_files import ChangeKind
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom.components import Component, Owner
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom.distribution import Distribution
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom.purl import read_purl, write_purl

pytestmark = pytest.mark.once

OWNER = Owner("base", "base", "ops", None, None, None)
DEBIAN = Distribution("debian", "12")


def purl(manager, *package, distribution=DEBIAN):
    component = Component(manager, InstalledPackage(*package), ChangeKind.ADDED, None, OWNER)
    return write_purl(component, distribution)


@pytest.mark.parametrize(
    ("manager", "package", "distribution", "expected"),
    [
        ("dpkg", ("curl", "7.88.1-10", "amd64"), DEBIAN, "pkg:deb/debian/curl@7.88.1-10?arch=amd64&distro=debian-12"),
        (
            "dpkg",
            ("libstdc++6", "2:12.2~rc1+b1", "amd64", "gcc-12", "2:12.2~rc1"),
            DEBIAN,
            "pkg:deb/debian/libstdc%2B%2B6@2:12.2~rc1%2Bb1?arch=amd64&distro=debian-12&upstream=gcc-12%402:12.2~rc1",
        ),
        ("dpkg", ("a", "1+b1", "all", "a", "1"), Distribution(), "pkg:deb/a@1%2Bb1?arch=all&upstream=a%401"),
        ("dpkg", ("a", "1", "", "b", "1"), Distribution("debian"), "pkg:deb/debian/a@1?upstream=b"),
        ("apk", ("musl", "1.2-r2", "x86_64"), Distribution("alpine", "3.20"), None),
        ("rpm", ("Bash", "2:5.1-6", "x86_64"), Distribution("fedora", "40"), None),
    ],
)
def test_a_purl_is_canonical(manager, package, distribution, expected):
    text = purl(manager, *package, distribution=distribution)
    assert expected in {None, text}
    assert PackageURL.from_string(text).to_string() == text
    parts = read_purl(text)
    assert (parts.name, parts.version, parts.qualifiers.get("arch", "")) == package[:3]


@given(
    st.tuples(*[st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)] * 5),
    st.sampled_from(["dpkg", "apk", "rpm"]),
)
def test_any_name_makes_a_purl_that_is_read_back(package, manager):
    text = purl(manager, *package)
    assert text.isascii()
    read = read_purl(text)
    name = package[0] if manager == "rpm" else package[0].lower()
    assert (read.type, read.namespace, read.name) == (text[4:7], "debian", name)
    if manager != "rpm":
        assert read.version == package[1]
    assert read.qualifiers["arch"] == package[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pkg:deb/debian/openssl@3.0.11?arch=amd64&epoch=1", ("deb", "debian", "openssl", "1:3.0.11")),
        ("pkg:deb/debian/openssl@1%3A3.0?epoch=1", ("deb", "debian", "openssl", "1:3.0")),
        ("pkg:npm/%40angular/core@1.2#src", ("npm", "@angular", "core", "1.2")),
        ("pkg:pypi/requests", ("pypi", "", "requests", "")),
        ("PKG:PyPI/requests@1+b", ("pypi", "", "requests", "1+b")),
    ],
)
def test_purls_of_other_tools_are_read(text, expected):
    read = read_purl(text)
    assert (read.type, read.namespace, read.name, read.version) == expected


@pytest.mark.parametrize("text", ["", "pkg:", "pkg:deb", "pkg:deb/", "http://deb/x", "pkg:/x@1", "pkg:deb/@1"])
def test_what_is_no_purl_is_not_read(text):
    assert read_purl(text) is None


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_error(text):
    read_purl("pkg:" + text)
