"""What a tier waits for: the image of its parent, and the parent's tests."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import read_plan, write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.candidates import Candidate
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.parent import (
    check_parent,
    wait_for_parent,
    wait_for_tests_of_parent,
)

pytestmark = pytest.mark.once
OLD, NEW = "sha256:old", "sha256:new"


class Pair:
    """A run over `base`, `web` and `app`, each on the one before."""

    def __init__(self, make_tier):
        self.tiers = {"base": make_tier("base"), "web": make_tier("web", "base"), "app": make_tier("app", "web")}
        self.journal = Journal.begin("shop")
        self.plan("base", Action.KEEP)
        self.plan("web", Action.BUILD, parent=OLD)
        self.plan("app", Action.BUILD)

    def plan(self, name, action, **parts):
        image = OLD if action is Action.KEEP else None
        write_plan(self.journal, "shop", Decision(self.tiers[name], action, (), image, parts), None)

    def planned(self, name):
        return read_plan(self.journal, name)


@pytest.fixture
def pair(make_tier, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Pair(make_tier)


def test_the_image_of_a_kept_parent_is_known(pair):
    assert wait_for_parent(pair.journal, pair.planned("web")) == OLD


def test_a_build_begins_on_the_candidate_of_its_parent(pair):
    threading.Timer(0.2, pair.journal.write, ("candidate", "web", Candidate(NEW, "", "key-1"))).start()
    assert wait_for_parent(pair.journal, pair.planned("app")) == NEW
    check_parent(pair.journal, pair.planned("app"))


def test_no_build_begins_on_a_parent_that_failed(pair):
    pair.journal.write("candidate", "web", Candidate(NEW, "", "key-1"))
    pair.journal.failed("web", "its tests fail")
    for wait in (wait_for_parent, check_parent, wait_for_tests_of_parent):
        with pytest.raises(RunError, match=r"^tier 'app' is not built: its parent 'web' failed$"):
            wait(pair.journal, pair.planned("app"))


def test_a_base_has_no_parent_to_wait_for(pair):
    with pytest.raises(RunError, match="'base' is a base; it has no parent to wait for"):
        wait_for_parent(pair.journal, pair.planned("base"))


def test_a_candidate_is_not_enough_for_a_tested_tier(pair):
    pair.journal.write("candidate", "web", Candidate(NEW, "", "key-1"))
    threading.Timer(0.2, pair.journal.passed, ("web", NEW)).start()
    wait_for_tests_of_parent(pair.journal, pair.planned("app"))
    assert pair.journal.outcome("web") is not None


def test_a_kept_tier_is_tested_whatever_its_parent_does(pair):
    pair.plan("app", Action.KEEP, parent=OLD)
    pair.journal.failed("web", "its tests fail")
    wait_for_tests_of_parent(pair.journal, pair.planned("app"))
