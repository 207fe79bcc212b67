from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.paths import (
    escape,
    matcher,
    prefix_matcher,
    split,
)

NAMES = st.sampled_from(["a", "b", "ab", "*", "["])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PARTS = st.sampled_from(["a", "b", "*", "?", "a*", "**", "a**", "[ab]"])
PATTERNS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@given(PATHS, PATTERNS)
def test_the_prefix_matcher_accepts_each_folder_above_a_match(path, pattern):
    covers, can_contain = matcher([pattern]), prefix_matcher([pattern])
    if covers(path.encode()):
        folders = path.split("/")
        for depth in range(1, len(folders)):
            folder = "/".join(folders[:depth]).encode()
            assert covers(folder) or can_contain(folder)


@pytest.mark.parametrize(
    ("pattern", "folder", "accepted"),
    [
        ("etc/ssl/private", "etc", True),
        ("etc/ssl/private", "etc/ssl", True),
        ("etc/ssl/private", "etc/ssl/private", False),
        ("etc/ssl/private", "usr", False),
        ("etc/*/key", "etc/app", True),
        ("etc/*/key", "etc/app/deep", False),
        ("**/key", "anything/at/all", True),
        ("srv/**", "srv", True),
        ("srv/a**/key", "srv/b", False),
    ],
)
def test_the_prefix_matcher_accepts_folders_that_can_contain_a_match(pattern, folder, accepted):
    assert bool(prefix_matcher([pattern])(folder.encode())) == accepted


@given(PATHS, PATHS)
def test_an_escaped_path_covers_itself_and_everything_below_it(path, other):
    covers = matcher([escape(path)])
    assert covers(path.encode())
    assert covers(f"{path}/x".encode())
    assert bool(covers(other.encode())) == f"{other}/".startswith(f"{path}/")


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("/etc/ssl/", ("etc/ssl", "")),
        ("etc/ssl/*.cnf", ("etc/ssl", "*.cnf")),
        ("etc/*/a/b", ("etc", "*/a/b")),
        ("**", ("", "**")),
        ("etc/[", ("etc/[", "")),
    ],
)
def test_a_pattern_is_split_after_its_literal_folders(pattern, parts):
    assert split(pattern) == parts
