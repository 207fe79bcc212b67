from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import (
    Protection,
    protections_from_text,
    protections_to_text,
    read_paths,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError

PATHS = st.lists(st.text(min_size=1), min_size=1, max_size=3)
PROTECTIONS = st.lists(st.builds(Protection, st.text(), st.text(), PATHS.map(tuple)))


def test_a_slash_at_either_end_means_nothing_and_each_path_counts_once():
    assert read_paths("core", "tier_protects", ["/etc/ssl/", "etc/ssl", "/etc/*.conf"]) == ("etc/*.conf", "etc/ssl")


@pytest.mark.parametrize("path", ["", "/", "//", "/etc/../root", "./etc", "/etc//ssl", "..", "/etc/.", "a\0b"])
def test_what_would_protect_nothing_is_refused(path):
    with pytest.raises(ChainError, match=r"tier 'core': tier_protects has .*; expected a path below the root"):
        read_paths("core", "tier_protects", ["/etc/ssl", path])


@given(PROTECTIONS)
def test_what_is_written_is_read_back(protections):
    assert list(protections_from_text(protections_to_text(protections))) == protections


def test_who_protects_nothing_is_not_told():
    assert protections_to_text([Protection("web", "middleware", ())]) == ""
    assert protections_from_text("") == ()


@pytest.mark.parametrize("text", ["{", "1", "{}x", '["x"]', '[{"tier": "x"}]', '[{"tier":"x","team":"y","paths":1}]'])
def test_what_is_something_else_is_not_read(text):
    with pytest.raises(ValueError, match=r".+"):
        protections_from_text(text)


def test_it_is_plain_json():
    assert json.loads(protections_to_text([Protection("core", "ops", ("etc/ssl",))])) == [
        {"tier": "core", "team": "ops", "paths": ["etc/ssl"]}
    ]
