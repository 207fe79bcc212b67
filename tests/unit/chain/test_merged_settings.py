"""Settings of several roles are merged as if each role had a tier of its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.merged_settings import merge_settings
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.configuration import runtime_config


def test_later_values_replace_earlier_ones_and_dictionaries_are_merged():
    web = {"cmd": ["web"], "ports": [80], "env": {"A": "1", "B": "1"}, "labels": {"x": "1"}}
    agent = {"ports": [9100], "env": {"B": "2"}, "labels": {"y": "2"}, "user": None}
    assert merge_settings([web, agent]) == {
        "cmd": ["web"],
        "ports": [9100],
        "env": {"A": "1", "B": "2"},
        "labels": {"x": "1", "y": "2"},
    }


def test_an_entrypoint_removes_the_earlier_command():
    assert merge_settings([{"cmd": ["a"]}, {"entrypoint": ["b"]}]) == {"entrypoint": ["b"]}
    assert merge_settings([{"cmd": ["a"]}, {"entrypoint": ["b"], "cmd": ["c"]}]) == {"entrypoint": ["b"], "cmd": ["c"]}


def test_a_reference_means_the_earlier_value():
    merged = merge_settings([{"env": {"PATH": "/a:$PATH"}}, {"env": {"PATH": "/b:${PATH}", "COST": "$$PATH"}}])
    assert merged["env"] == {"PATH": "/b:/a:$PATH", "COST": "$$PATH"}


NAMES = st.sampled_from(["PATH", "A"])
VALUES = st.lists(st.sampled_from(["x", "$PATH", "${PATH}", "$$", "y"]), max_size=4).map(":".join)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "env": st.dictionaries(NAMES, VALUES, min_size=1),
        "labels": st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), min_size=1),
        "cmd": st.lists(st.sampled_from("cd"), min_size=1),
        "entrypoint": st.lists(st.sampled_from("ef"), min_size=1),
        "user": st.sampled_from(["1", "2"]),
    },
)


@given(st.lists(SETTINGS, min_size=1, max_size=3))
def test_the_image_is_that_of_one_tier_for_each_role(settings):
    parent = {"Env": ["PATH=/bin"], "Cmd": ["sh"]}
    config = parent
    for each in settings:
        config = runtime_config(config, each, {})
    assert runtime_config(parent, merge_settings(settings), {}) == config
