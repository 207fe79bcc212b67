"""What pages of tiers are called."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.gathering import slugs


def test_names_of_pages_are_readable():
    assert list(slugs(["httpd-php", "Team/Web:latest", "team web:latest", "../..", "ünï", "a" * 100])) == [
        "httpd-php",
        "team-web-latest",
        "team-web-latest-2",
        "image",
        "n",
        "a" * 60,
    ]


@given(st.lists(st.text("aA-./\\:é\x00 2", max_size=4), max_size=30))
def test_names_of_pages_are_safe_and_unlike_each_other(names):
    found = list(slugs(names))
    assert len(found) == len(names) == len(set(found))
    for slug in found:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", slug)
