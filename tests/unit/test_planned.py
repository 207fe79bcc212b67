"""The filter `planned`: the hosts that a part of the plan applies to."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.filter.planned import NO_HOST, planned

PLAN = {"bases": ["b"], "gate": ["z", "a"], "promote": True, "tiers": {"b": {}, "z": {}, "a": {}}}


@pytest.mark.parametrize(("part", "hosts"), [("bases", ["b"]), ("gate", ["z", "a"]), ("promote", ["b", "z", "a"])])
def test_hosts_are_in_the_order_of_the_plan(part, hosts):
    assert planned({"b": {"chain_plan": PLAN}}, part, ["b", "a"]) == hosts


@pytest.mark.parametrize("part", ["bases", "gate", "promote"])
def test_an_empty_part_gives_a_pattern_that_matches_no_host(part):
    empty_plan = {"bases": [], "gate": [], "promote": False, "tiers": {"b": {}}}
    assert planned({"b": {"chain_plan": empty_plan}}, part, ["b"]) == NO_HOST


@pytest.mark.parametrize(("tried", "hosts"), [(["core"], ["b", "z", "a"]), ([], NO_HOST)])
def test_a_trial_needs_all_tiers_because_the_limit_can_exclude_the_followed_ones(tried, hosts):
    assert planned({"b": {"chain_plan": {**PLAN, "tried": tried}}}, "tried", ["b"]) == hosts
    assert planned({"b": {"chain_plan": PLAN}}, "tried", ["b"]) == NO_HOST


@pytest.mark.parametrize(("hostvars", "hosts"), [({}, []), ({}, ["b"]), ({"b": {}}, ["b"])])
def test_a_missing_plan_gives_a_pattern_that_matches_no_host(hostvars, hosts):
    assert planned(hostvars, "gate", hosts) == NO_HOST
