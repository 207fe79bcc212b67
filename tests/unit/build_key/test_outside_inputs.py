from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.outside_inputs import (
    digest_index,
    digest_whole,
    readable,
)

RELEASE = """-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

Origin: Debian
Suite: oldstable-security
Date: {date}
Valid-Until: {until}
MD5Sum:
 aaaa 10 main/binary-amd64/Packages
SHA256:
 {first} 10 main/binary-amd64/Packages
 bbbb   20 main/binary-arm64/Packages
-----BEGIN PGP SIGNATURE-----

{signature}
-----END PGP SIGNATURE-----
"""
BASE = {"date": "Mon, 23 Nov 2026", "until": "Mon, 30 Nov 2026", "first": "cccc", "signature": "iQIz"}


def digest(**changes):
    return digest_index([RELEASE.format(**{**BASE, **changes}).encode()])


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"date": "Tue, 24 Nov 2026", "until": "Tue, 1 Dec 2026", "signature": "other"}, False),
        ({"first": "dddd"}, True),
    ],
    ids=["signed again", "changed package"],
)
def test_the_digest_of_an_archive_depends_only_on_its_indexes(change, counts):
    assert (digest(**change) != digest()) == counts


@pytest.mark.parametrize("answer", [b"", b"<html>captive portal</html>", b"SHA256:\n"])
def test_an_answer_that_is_not_an_archive_is_rejected(answer):
    with pytest.raises(ValueError, match="not an InRelease file"):
        digest_index([answer])


@given(st.binary(max_size=400), st.integers(1, 50))
def test_a_digest_does_not_depend_on_the_size_of_the_pieces(data, size):
    assert digest_whole([data]) == digest_whole(data[at : at + size] for at in range(0, len(data), size))


@given(st.binary(max_size=400))
def test_any_answer_is_digested_or_rejected(data):
    try:
        assert len(digest_index([b"SHA256:\n ", data])) == 32
    except ValueError as error:
        assert "InRelease" in str(error)  # noqa: PT017 - either outcome is right


def test_a_readable_name_contains_no_secret():
    assert readable("https://me:hunter2@example.org:8443/a/b.tar?token=hunter2") == "example.org/a/b.tar"
