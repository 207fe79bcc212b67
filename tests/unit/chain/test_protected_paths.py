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


def test_outer_slashes_and_duplicate_paths_are_removed():
    assert read_paths("core", "tier_protects", ["/etc/ssl/", "etc/ssl", "/etc/*.conf"]) == ("etc/*.conf", "etc/ssl")


@pytest.mark.parametrize("path", ["", "/", "//", "/etc/../root", "./etc", "/etc//ssl", "..", "/etc/.", "a\0b"])
def test_an_invalid_path_is_rejected(path):
    with pytest.raises(ChainError, match=r"tier 'core': tier_protects has .*; expected a path below the root"):
        read_paths("core", "tier_protects", ["/etc/ssl", path])


@given(PROTECTIONS)
def test_written_protections_are_read_back(protections):
    assert list(protections_from_text(protections_to_text(protections))) == protections


def test_a_tier_that_protects_nothing_is_not_written():
    assert protections_to_text([Protection("web", "middleware", ())]) == ""
    assert protections_from_text("") == ()


@pytest.mark.parametrize("text", ["{", "1", "{}x", '["x"]', '[{"tier": "x"}]', '[{"tier":"x","team":"y","paths":1}]'])
def test_invalid_text_is_rejected(text):
    with pytest.raises(ValueError, match=r".+"):
        protections_from_text(text)


def test_protections_are_plain_json():
    assert json.loads(protections_to_text([Protection("core", "ops", ("etc/ssl",))])) == [
        {"tier": "core", "team": "ops", "paths": ["etc/ssl"]}
    ]
