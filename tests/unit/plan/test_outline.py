"""What a plan tells: all of it in a small chain, what matters in a large one."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import RoleTests, Suite
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import decide
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.outline import (
    LIST_ALL_UP_TO,
    followers,
    kept_lines,
    outline,
)

DEMO = {"base": None, "corebuild": "base", "httpd-php": "corebuild", "mariadb": "corebuild", "wordpress": "httpd-php"}


@pytest.fixture
def plan(make_tier, make_image, make_snapshot):
    """Plan a chain that was built, with some tiers changed or forced since."""

    def decisions(parents, changed=(), forced=()):
        chain = Chain(make_tier(name, parent) for name, parent in parents.items())
        images = {}
        for tier in chain:
            parts = {"role/tasks/main.yml": "1"}
            if tier.parent:
                parts["parent"] = images[chain[tier.parent].release].id
            made = make_image(f"sha256:{tier.name}-{digest_key(parts)}", labels.identity("demo", tier, parts, None))
            images[tier.release] = made
        now = {name: {"role/tasks/main.yml": "2" if name in changed else "1"} for name in parents}
        return list(decide(chain, now, make_snapshot(images), selected=chain.order, forced=forced).values())

    return decisions


def thousand():
    return {"t0": None, **{f"t{number}": f"t{(number - 1) // 4}" for number in range(1, 1000)}}


def test_a_small_chain_is_told_tier_by_tier(plan):
    assert list(outline(plan(DEMO, changed=["httpd-php"]), everything=False)) == [
        "base       keep   nothing changed",
        "corebuild  keep   nothing changed",
        "httpd-php  build  role tasks/main.yml changed",
        "                  1 tier follows: wordpress",
        "mariadb    keep   nothing changed",
        "wordpress  build  parent httpd-php is built",
    ]


def test_the_plan_says_which_tests_will_run(plan):
    core = RoleTests("corebuild", "operations", "/x")
    suites = {"corebuild": Suite(core), "httpd-php": Suite(None, (core,)), "wordpress": Suite(core, (core,))}
    lines = list(outline(plan(DEMO, changed=["httpd-php"]), everything=False, tests=suites))
    assert lines[3:] == [
        "                  tests: the contracts of corebuild",
        "                  1 tier follows: wordpress",
        "mariadb    keep   nothing changed",
        "wordpress  build  parent httpd-php is built",
        "                  tests: its own and the contracts of corebuild",
    ]


def test_a_tier_that_changed_below_another_is_a_cause_of_its_own(plan):
    assert followers(plan(DEMO, changed=["corebuild", "httpd-php"])) == {
        "corebuild": ["httpd-php", "mariadb", "wordpress"],
        "httpd-php": ["wordpress"],
    }


def test_a_forced_tier_is_a_cause(plan):
    assert followers(plan(DEMO, changed=["corebuild"], forced=["mariadb"])) == {
        "corebuild": ["httpd-php", "mariadb", "wordpress"],
        "mariadb": [],
    }


def test_siblings_follow_their_own_cause_only(plan):
    assert followers(plan(DEMO, changed=["wordpress", "mariadb"])) == {"mariadb": [], "wordpress": []}


def test_nothing_changed_in_a_thousand_tiers_is_one_line(plan):
    assert list(outline(plan(thousand()), everything=False)) == ["1000 tiers are kept as they are; -v lists all"]


def test_of_a_thousand_tiers_those_that_are_built_are_listed(plan):
    lines = list(outline(plan(thousand(), changed=["t60", "t999"]), everything=False))
    assert lines[:2] == ["t60   build  role tasks/main.yml changed", "             20 tiers follow"]
    assert {line.split("  ")[0] for line in lines[2:-2]} == {
        f"t{each}" for each in (*range(241, 245), *range(965, 981))
    }
    assert lines[-2:] == ["t999  build  role tasks/main.yml changed", "978 tiers are kept as they are; -v lists all"]


def test_everything_is_listed_where_that_is_asked_for(plan):
    assert len(list(outline(plan(thousand()), everything=True))) == 1000


@pytest.mark.parametrize(("count", "lines"), [(LIST_ALL_UP_TO, LIST_ALL_UP_TO), (LIST_ALL_UP_TO + 1, 1)])
def test_so_many_tiers_are_few(plan, count, lines):
    parents = {"t0": None, **{f"t{number}": "t0" for number in range(1, count)}}
    assert len(list(outline(plan(parents), everything=False))) == lines


def test_one_kept_tier_is_told_as_one():
    assert list(kept_lines(1)) == ["1 tier is kept as it is; -v lists all"]
    assert list(kept_lines(0)) == []


def test_nobody_is_told_of_no_tiers():
    assert list(outline([], everything=False)) == []
