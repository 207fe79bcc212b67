"""The file names of the pages of tiers."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.gathering import slugs


def test_page_names_are_readable():
    assert list(slugs(["httpd-php", "Team/Web:latest", "team web:latest", "../..", "ünï", "a" * 100])) == [
        "httpd-php",
        "team-web-latest",
        "team-web-latest-2",
        "image",
        "n",
        "a" * 60,
    ]


@given(st.lists(st.text("aA-./\\:é\x00 2", max_size=4), max_size=30))
def test_page_names_are_safe_and_unique(names):
    page_names = list(slugs(names))
    assert len(page_names) == len(names) == len(set(page_names))
    for slug in page_names:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", slug)
