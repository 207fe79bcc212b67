from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.filter.planned import NO_HOST, planned

PLAN = {"bases": ["b"], "gate": ["z", "a"], "promote": True, "tiers": {"b": {}, "z": {}, "a": {}}}


@pytest.mark.parametrize(("part", "hosts"), [("bases", ["b"]), ("gate", ["z", "a"]), ("promote", ["b", "z", "a"])])
def test_the_plan_s_order_is_kept(part, hosts):
    assert planned({"b": {"chain_plan": PLAN}}, part, ["b", "a"]) == hosts


@pytest.mark.parametrize("part", ["bases", "gate", "promote"])
def test_nothing_to_do_is_a_pattern_that_matches_nobody(part):
    nothing = {"bases": [], "gate": [], "promote": False, "tiers": {"b": {}}}
    assert planned({"b": {"chain_plan": nothing}}, part, ["b"]) == NO_HOST


@pytest.mark.parametrize(("hostvars", "hosts"), [({}, []), ({}, ["b"]), ({"b": {}}, ["b"])])
def test_without_a_plan_there_is_nobody(hostvars, hosts):
    assert planned(hostvars, "gate", hosts) == NO_HOST
