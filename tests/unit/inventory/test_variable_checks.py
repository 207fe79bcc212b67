"""Unknown variables of a tier are rejected, with a suggestion."""

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
def test_a_mistyped_variable_is_rejected_with_a_suggestion(mistyped, meant):
    with pytest.raises(ChainError, match=f"^tier 'web': {mistyped} is set, .* did you mean {meant}[?]"):
        read_tier("web", variables(**{mistyped: "x"}))


def test_a_mistyped_tier_parent_is_not_reported_as_a_missing_parent():
    with pytest.raises(ChainError, match="did you mean tier_parent"):
        read_tier("web", {"group_names": ["tiers", "ops"], "tier_parnt": "base"})


def test_all_unknown_variables_are_reported():
    with pytest.raises(ChainError) as failure:
        check_names("web", {"tier_tags": 1, "tier_zzzzzzz": 2})
    assert [re.search(r"tier_\w+", line)[0] for line in str(failure.value).splitlines()] == [
        "tier_tags",
        "tier_zzzzzzz",
    ]
    assert "mean" not in str(failure.value).splitlines()[1]


def test_an_error_in_a_group_variable_is_reported_once():
    hosts = [f"t{number}" for number in range(7)]
    with pytest.raises(ChainError) as failure:
        read_chain(hosts, lambda host: variables(tier_tags=1, tier_parent=["x"] if host == "t3" else "base"))
    first, second = str(failure.value).splitlines()
    assert first.startswith("tiers 't0', 't1', 't2', 't3', 't4' and 2 more: tier_tags is set")
    assert second.startswith("tier 't3': tier_parent is ['x']")


def test_every_variable_of_tierwright_is_accepted():
    check_names("web", dict.fromkeys([*TIER_SPEC, *RUN_VARIABLES, "tier_container", "tier_build"]))


def test_own_variables_and_variables_of_the_role_are_accepted():
    check_names("web", {"tier_own_variables": ["tier_colour"], "tier_colour": 1, "tiers_x": 1, "my_tier_x": 1})
    check_names("tier-two", {"tier_two_port": 1})
    check_names("web", {"tier_role": "acme.shop.tier_two", "tier_two_port": 1})
    with pytest.raises(ChainError, match="tier_own_variables is 'tier_colour'; expected a list"):
        check_names("web", {"tier_own_variables": "tier_colour"})


@pytest.mark.parametrize("name", ["tier_role", "tier_parent", "tier_team", "tier_image", "tier_tag"])
@pytest.mark.parametrize("value", [["a", "b"], {"a": 1}])
def test_a_variable_for_a_name_must_be_a_string(name, value):
    with pytest.raises(ChainError, match=f"^tier 'web': {name} is .*; expected a string"):
        read_tier("web", variables(**{name: value}))


@pytest.mark.parametrize("name", ["tier_drop", "tier_keep", "tier_protects"])
def test_an_invalid_pattern_is_rejected(name):
    with pytest.raises(ChainError, match=rf"^tier 'web': {name} has '.*\[z-a\]', which is not a valid pattern"):
        read_tier("web", variables(**{name: ["opt/[z-a]"]}))


@pytest.mark.parametrize("name", ["tier_before", "tier_after"])
def test_a_base_cannot_have_tier_before_or_tier_after(name):
    with pytest.raises(ChainError, match=f"tier 'base': {name} is .*, but no task runs for a base"):
        read_tier("base", {"group_names": ["ops"], "tier_bootstrap": {"suite": "trixie"}, name: ["x.yml"]})
