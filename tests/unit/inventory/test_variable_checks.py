"""Variables that nobody reads are told, with the one that was meant."""

from __future__ import annotations

import re

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier_variables import (
    RUN_VARIABLES,
    TIER_SPEC,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.tiers import read_chain, read_tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.variable_checks import check_names


def variables(**more):
    return {"group_names": ["tiers", "ops"], "tier_parent": "base", **more}


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("tier_neighbors", "tier_neighbours"),
        ("tier_protect", "tier_protects"),
        ("tier_tags", "tier_tag"),
        ("tier_configs", "tier_config"),
        ("tier_parnt", "tier_parent"),
        ("tier_input", "tier_inputs"),
        ("tier_image_name", "tier_image"),
        ("tier_lock_time_out", "tier_lock_timeout"),
        ("tier_befor", "tier_before"),
    ],
)
def test_a_mistyped_variable_is_named_with_the_nearest(mistyped, meant):
    with pytest.raises(ChainError, match=f"^tier 'web': {mistyped} is set, .* did you mean {meant}[?]"):
        read_tier("web", variables(**{mistyped: "x"}))


def test_a_mistyped_parent_is_told_before_that_there_is_none():
    with pytest.raises(ChainError, match="did you mean tier_parent"):
        read_tier("web", {"group_names": ["tiers", "ops"], "tier_parnt": "base"})


def test_each_of_several_is_told():
    with pytest.raises(ChainError) as told:
        check_names("web", {"tier_tags": 1, "tier_zzzzzzz": 2})
    assert [re.search(r"tier_\w+", line)[0] for line in str(told.value).splitlines()] == ["tier_tags", "tier_zzzzzzz"]
    assert "mean" not in str(told.value).splitlines()[1]


def test_what_a_group_sets_wrong_is_told_once():
    hosts = [f"t{number}" for number in range(7)]
    with pytest.raises(ChainError) as told:
        read_chain(hosts, lambda host: variables(tier_tags=1, tier_parent=["x"] if host == "t3" else "base"))
    first, second = str(told.value).splitlines()
    assert first.startswith("tiers 't0', 't1', 't2', 't3', 't4' and 2 more: tier_tags is set")
    assert second.startswith("tier 't3': tier_parent is ['x']")


def test_every_variable_of_ours_is_known():
    check_names("web", dict.fromkeys([*TIER_SPEC, *RUN_VARIABLES, "tier_container", "tier_build"]))


def test_own_variables_are_listed_and_those_of_a_role_are_the_role_s():
    check_names("web", {"tier_own_variables": ["tier_colour"], "tier_colour": 1, "tiers_x": 1, "my_tier_x": 1})
    check_names("tier-two", {"tier_two_port": 1})
    check_names("web", {"tier_role": "acme.shop.tier_two", "tier_two_port": 1})
    with pytest.raises(ChainError, match="tier_own_variables is 'tier_colour'; expected a list"):
        check_names("web", {"tier_own_variables": "tier_colour"})


@pytest.mark.parametrize("name", ["tier_role", "tier_parent", "tier_team", "tier_image", "tier_tag"])
@pytest.mark.parametrize("value", [["a", "b"], {"a": 1}])
def test_a_list_where_a_name_belongs_is_told(name, value):
    with pytest.raises(ChainError, match=f"^tier 'web': {name} is .*; expected a string"):
        read_tier("web", variables(**{name: value}))


@pytest.mark.parametrize("name", ["tier_drop", "tier_keep", "tier_protects"])
def test_what_is_no_pattern_is_told(name):
    with pytest.raises(ChainError, match=rf"^tier 'web': {name} has '.*\[z-a\]', which is not a valid pattern"):
        read_tier("web", variables(**{name: ["opt/[z-a]"]}))


@pytest.mark.parametrize("name", ["tier_before", "tier_after"])
def test_a_base_has_no_tasks_around_a_role(name):
    with pytest.raises(ChainError, match=f"tier 'base': {name} is .*, but no task runs for a base"):
        read_tier("base", {"group_names": ["ops"], "tier_bootstrap": {"suite": "trixie"}, name: ["x.yml"]})
