from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.names import (
    familiar_name,
    is_digest,
    is_repository,
    is_tag,
    split_pinned,
)

DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    "name",
    ["base", "httpd-php", "a.b_c", "a__b", "a--b", "example.org/team/web", "localhost:5000/web", "[::1]:5000/web"],
)
def test_valid_repositories(name):
    assert is_repository(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Web",
        "web:latest",
        "-web",
        "web-",
        "a..b",
        "a___b",
        "web/",
        "/web",
        "we b",
        "wéb",
        "web\n",
        "a" * 256,
        "web@x",
    ],
)
def test_invalid_repositories(name):
    assert not is_repository(name)


@pytest.mark.parametrize("tag", ["latest", "2026.11", "v1_2-3", "_x", "a" * 128])
def test_valid_tags(tag):
    assert is_tag(tag)


@pytest.mark.parametrize("tag", ["", ".x", "-x", "a b", "a/b", "a:b", "é", "a" * 129, "x\n"])
def test_invalid_tags(tag):
    assert not is_tag(tag)


def test_digests():
    assert is_digest(DIGEST)
    assert not is_digest(DIGEST.upper())
    assert not is_digest(DIGEST[:-1])
    assert not is_digest("sha512:" + "0" * 128)


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        (f"debian@{DIGEST}", ("debian", DIGEST)),
        (f"debian:12@{DIGEST}", ("debian", DIGEST)),
        (f"localhost:5000/debian@{DIGEST}", ("localhost:5000/debian", DIGEST)),
        (f"localhost:5000/debian:12@{DIGEST}", ("localhost:5000/debian", DIGEST)),
        ("debian", None),
        ("debian:12", None),
        ("debian@sha256:abc", None),
        (f"@{DIGEST}", None),
        (f"De bian@{DIGEST}", None),
    ],
)
def test_pinned_references(reference, parts):
    assert split_pinned(reference) == parts


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("docker.io/library/httpd-php:latest", "httpd-php:latest"),
        ("docker.io/team/httpd-php:latest", "team/httpd-php:latest"),
        ("index.docker.io/library/web:1", "web:1"),
        ("index.docker.io/team/web:1", "team/web:1"),
        ("localhost/team/httpd-php:latest", "team/httpd-php:latest"),
        ("localhost:5000/httpd-php:latest", "localhost:5000/httpd-php:latest"),
        ("example.org/docker.io/library/web:1", "example.org/docker.io/library/web:1"),
        ("httpd-php:latest", "httpd-php:latest"),
    ],
)
def test_familiar_names_omit_the_default_registry(reference, expected):
    assert familiar_name(reference) == expected


@given(st.text(max_size=40))
def test_any_text_is_classified_without_error(text):
    for answer in (is_repository(text), is_tag(text), is_digest(text)):
        assert answer in {True, False}
    split_pinned(text)
