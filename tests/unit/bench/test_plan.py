"""The bench of the plan: the size of its chain, and its targets."""

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


def test_the_written_inventory_describes_the_chain(tmp_path):
    generated.write(tmp_path)
    inventory = yaml.load((tmp_path / "chain.yml").read_text(), Loader=yaml.CSafeLoader)
    hosts = {
        name: variables for team in inventory["tiers"]["children"].values() for name, variables in team["hosts"].items()
    }
    assert {name: variables.get("tier_parent") for name, variables in hosts.items()} == dict(generated.parents())
    roles = {path.name for path in (tmp_path / "roles").iterdir()}
    assert {variables["tier_role"] for variables in hosts.values() if "tier_role" in variables} == roles
    assert len(list((tmp_path / "roles/role_00").rglob("*.conf"))) == generated.FILES


@pytest.mark.parametrize(("seconds", "verdict"), [(2.5, "met"), (2.6, "missed")])
def test_a_target_is_met_or_missed_by_the_median(seconds, verdict):
    runs = {
        DEMO_EMPTY: [Measured(2, 1, 50)],
        DEMO_KEPT: [Measured(1, 1, 60), Measured(seconds, 1, 60), Measured(90, 1, 60)],
    }
    lines = targets(runs).splitlines()
    assert len(lines) == len(TARGETS) + 1
    assert lines[1].split()[-4:] == [f"{seconds / 2:.2f}", "<=", "1.25", verdict]
    assert all(line.endswith("not measured") for line in lines[2:])


def test_memory_is_the_maximum_of_all_runs():
    runs = {LARGE_NEW: [Measured(5, 4, 100), Measured(9, 6, 501), Measured(7, 5, 90)]}
    assert table(runs).splitlines()[1].split()[-6:] == ["7.00", "5.00", "9.00", "5.00", "501", "3"]
    assert ["missed" in line for line in targets(runs).splitlines()[3:5]] == [False, True]
