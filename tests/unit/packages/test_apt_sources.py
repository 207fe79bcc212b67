"""Parsing apt's sources, in the one-line format and in the deb822 format."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.apt_sources import (
    Source,
    deb822,
    one_line,
)


def test_one_line():
    text = """
# deb http://off.example.org/debian bookworm main
deb http://deb.example.org/debian/ bookworm main contrib # and no more
deb-src http://deb.example.org/debian bookworm main
deb [arch=amd64,arm64 signed-by=/usr/share/keyrings/it.gpg trusted=yes check-valid-until=no] https://a.example.org/x ./
  deb  cdrom:[Debian]/ bookworm main
nonsense
"""
    assert list(one_line(text)) == [
        Source("http://deb.example.org/debian", "bookworm", ("main", "contrib")),
        Source(
            "https://a.example.org/x",
            "./",
            architectures=("amd64", "arm64"),
            signed_by="/usr/share/keyrings/it.gpg",
            trusted=True,
            may_be_expired=True,
        ),
        Source("cdrom:[Debian]", "bookworm", ("main",)),
    ]


def test_deb822():
    text = """
Types: deb deb-src
# a remark within
URIs: http://deb.example.org/debian http://other.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://off.example.org/debian
Suites: bookworm

Types: deb-src
URIs: http://sources.example.org/debian
Suites: bookworm
"""
    sources = list(deb822(text))
    assert [(source.uri, source.suite) for source in sources] == [
        (f"http://{host}.example.org/debian", suite)
        for host in ("deb", "other")
        for suite in ("bookworm", "bookworm-updates")
    ]
    assert sources[0].signed_by.splitlines() == [
        "-----BEGIN PGP PUBLIC KEY BLOCK-----",
        ".",
        "abc",
        "-----END PGP PUBLIC KEY BLOCK-----",
    ]


@given(st.text())
def test_any_text_is_parsed_or_ignored(text):
    for source in (*one_line(text), *deb822(text), *deb822(f"Types: deb\n{text}")):
        assert source.uri or source.suite
