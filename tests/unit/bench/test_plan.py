"""The bench of the plan: its chain is as large as it says, and its targets are what was asked for."""

from __future__ import annotations

from collections import Counter

import pytest
import yaml

from bench.plan import generated
from bench.plan.report import DEMO_EMPTY, DEMO_KEPT, LARGE_NEW, TARGETS, Measured, table, targets


def test_the_chain_has_a_thousand_tiers_in_ten_levels():
    parents = dict(generated.parents())
    assert len(parents) == 1000
    children = Counter(parents.values())
    assert max(children.values()) == 100
    depths = {None: 0}
    for name, parent in parents.items():
        depths[name] = depths[parent] + 1
    assert max(depths.values()) == 10


def test_what_is_written_is_an_inventory_of_that_chain(tmp_path):
    generated.write(tmp_path)
    inventory = yaml.load((tmp_path / "chain.yml").read_text(), Loader=yaml.CSafeLoader)
    hosts = {name: said for team in inventory["tiers"]["children"].values() for name, said in team["hosts"].items()}
    assert {name: said.get("tier_parent") for name, said in hosts.items()} == dict(generated.parents())
    roles = {path.name for path in (tmp_path / "roles").iterdir()}
    assert {said["tier_role"] for said in hosts.values() if "tier_role" in said} == roles
    assert len(list((tmp_path / "roles/role_00").rglob("*.conf"))) == generated.FILES


@pytest.mark.parametrize(("seconds", "told"), [(6.0, "met"), (7.0, "missed")])
def test_a_target_is_met_or_missed_by_the_median(seconds, told):
    runs = {
        DEMO_EMPTY: [Measured(2, 1, 50)],
        DEMO_KEPT: [Measured(1, 1, 60), Measured(seconds, 1, 60), Measured(90, 1, 60)],
    }
    lines = targets(runs).splitlines()
    assert len(lines) == len(TARGETS) + 1
    assert lines[1].split()[-4:] == [f"{seconds / 2:.1f}", "<=", "3", told]
    assert all(line.endswith("not measured") for line in lines[2:])


def test_memory_is_the_most_of_any_run():
    runs = {LARGE_NEW: [Measured(5, 4, 100), Measured(9, 6, 501), Measured(7, 5, 90)]}
    assert table(runs).splitlines()[1].split()[-6:] == ["7.0", "5.0", "9.0", "5.0", "501", "3"]
    assert ["missed" in line for line in targets(runs).splitlines()[2:4]] == [False, True]
