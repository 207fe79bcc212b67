"""The printed plan: every tier of a small chain, only the tiers to build of a large one."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.role_tests import RoleTests, Suite
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import (
    WOULD_BUILD,
    decide,
    exit_code,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.outline import (
    LIST_ALL_UP_TO,
    followers,
    kept_lines,
    outline,
)

DEMO = {"base": None, "corebuild": "base", "httpd-php": "corebuild", "mariadb": "corebuild", "wordpress": "httpd-php"}


@pytest.fixture
def plan(make_tier, make_image, make_snapshot):
    """Plan a chain of which all tiers exist. Some tiers have changed since, or are forced."""

    def decisions(parents, changed=(), forced=()):
        chain = Chain(make_tier(name, parent) for name, parent in parents.items())
        images = {}
        for tier in chain:
            parts = {"role/tasks/main.yml": "1"}
            if tier.parent:
                parts["parent"] = images[chain[tier.parent].release].id
            image = make_image(f"sha256:{tier.name}-{digest_key(parts)}", labels.identity("demo", tier, parts, None))
            images[tier.release] = image
        current = {name: {"role/tasks/main.yml": "2" if name in changed else "1"} for name in parents}
        return list(decide(chain, current, make_snapshot(images), selected=chain.order, forced=forced).values())

    return decisions


def thousand_tiers():
    return {"t0": None, **{f"t{number}": f"t{(number - 1) // 4}" for number in range(1, 1000)}}


def test_every_tier_of_a_small_chain_is_listed(plan):
    assert list(outline(plan(DEMO, changed=["httpd-php"]), everything=False)) == [
        "base       keep   nothing changed",
        "corebuild  keep   nothing changed",
        "httpd-php  build  role tasks/main.yml changed",
        "                  1 tier follows: wordpress",
        "mariadb    keep   nothing changed",
        "wordpress  build  parent httpd-php is built",
    ]


def test_the_plan_names_the_tests_that_will_run(plan):
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


def test_a_changed_descendant_of_a_changed_tier_has_its_own_followers(plan):
    assert followers(plan(DEMO, changed=["corebuild", "httpd-php"])) == {
        "corebuild": ["httpd-php", "mariadb", "wordpress"],
        "httpd-php": ["wordpress"],
    }


def test_a_forced_tier_has_its_own_followers(plan):
    assert followers(plan(DEMO, changed=["corebuild"], forced=["mariadb"])) == {
        "corebuild": ["httpd-php", "mariadb", "wordpress"],
        "mariadb": [],
    }


def test_siblings_do_not_follow_each_other(plan):
    assert followers(plan(DEMO, changed=["wordpress", "mariadb"])) == {"mariadb": [], "wordpress": []}


def test_a_large_chain_without_changes_is_one_line(plan):
    assert list(outline(plan(thousand_tiers()), everything=False)) == ["1000 tiers are kept as they are; -v lists all"]


def test_only_the_built_tiers_of_a_large_chain_are_listed(plan):
    lines = list(outline(plan(thousand_tiers(), changed=["t60", "t999"]), everything=False))
    assert lines[:2] == ["t60   build  role tasks/main.yml changed", "             20 tiers follow"]
    assert {line.split("  ")[0] for line in lines[2:-2]} == {
        f"t{number}" for number in (*range(241, 245), *range(965, 981))
    }
    assert lines[-2:] == ["t999  build  role tasks/main.yml changed", "978 tiers are kept as they are; -v lists all"]


def test_all_tiers_of_a_large_chain_are_listed_on_request(plan):
    assert len(list(outline(plan(thousand_tiers()), everything=True))) == 1000


@pytest.mark.parametrize(("count", "lines"), [(LIST_ALL_UP_TO, LIST_ALL_UP_TO), (LIST_ALL_UP_TO + 1, 1)])
def test_the_largest_chain_that_is_listed_completely(plan, count, lines):
    parents = {"t0": None, **{f"t{number}": "t0" for number in range(1, count)}}
    assert len(list(outline(plan(parents), everything=False))) == lines


def test_the_number_of_kept_tiers_is_grammatical():
    assert list(kept_lines(1)) == ["1 tier is kept as it is; -v lists all"]
    assert list(kept_lines(0)) == []


def test_an_empty_plan_prints_nothing():
    assert list(outline([], everything=False)) == []


def test_the_exit_status_says_whether_something_would_be_built(plan):
    assert exit_code(plan(DEMO)) == 0
    assert exit_code(plan(DEMO, changed=["wordpress"])) == WOULD_BUILD
    # Statuses of Ansible are sums of these, or above 98. 255 is that of an unknown error.
    assert WOULD_BUILD & (1 | 2 | 4 | 8) == 0
    assert 15 < WOULD_BUILD < 99
