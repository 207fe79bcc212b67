from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.promote import promotable


@pytest.fixture
def chain(make_tier):
    return Chain(
        [make_tier("base"), make_tier("core", "base"), make_tier("php", "core"), make_tier("db", "core"),
         make_tier("app", "php")]
    )  # fmt: skip


def passed(*names):
    return {name: f"sha256:{name}" for name in names}


def test_all_that_passed_is_promoted(chain):
    assert promotable(chain, passed(*chain.order), frozenset()) == list(chain.order)


def test_nothing_below_a_failed_tier_moves_but_its_siblings_do(chain):
    assert promotable(chain, passed("base", "core", "php", "db"), frozenset({"app"})) == ["db"]


def test_what_failed_or_was_not_in_the_run_does_not_move(chain):
    assert promotable(chain, passed("php"), frozenset()) == ["php"]
    assert promotable(chain, passed("base"), frozenset({"core", "php", "db", "app"})) == []
