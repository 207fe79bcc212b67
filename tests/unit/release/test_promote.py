from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.promotion import promotable, promote_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.tag_transaction import interrupted
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan
from fake_engine import FakeEngine


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


def test_what_is_tested_with_a_tier_holds_it(make_tier):
    tiers = [make_tier("base"), make_tier("php", "base"), make_tier("db", "base")]
    chain = Chain([*tiers, make_tier("app", "php", neighbours=("db",))])
    assert promotable(chain, passed("base", "php", "db"), frozenset({"app"})) == []
    assert promotable(chain, passed("base", "php", "app"), frozenset({"db"})) == ["php", "app"]


def test_what_stands_on_a_kept_tier_that_failed_does_not_move(chain):
    assert promotable(chain, passed("base", "core", "db", "app"), frozenset({"php"})) == ["db"]


@pytest.mark.parametrize("has_passed", [False, True])
def test_a_kept_tier_that_had_to_be_tested_moves_only_if_it_passed(run, chain, has_passed):
    _engine, journal, promote = run
    kept = Decision(chain["db"], Action.KEEP, (), "sha256:db-built-before", {}, was="sha256:db", untested=("why",))
    write_plan(journal, "demo", kept, None)
    if has_passed:
        journal.passed("db", "sha256:db-built-before", "kept")
    assert {tier.name for tier in promote().moved} == ({"php", "db"} if has_passed else {"php"})


@pytest.fixture
def run(chain, monkeypatch, tmp_path):
    """A run in which `php` was built and `db` is kept, though its release tag names something older."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    engine = FakeEngine()
    for image in ("sha256:php-new", "sha256:db-built-before", *(f"sha256:{name}" for name in chain.order)):
        engine.add(image)
    names = engine.world.names
    names |= {f"{name}:{tag}": f"sha256:{name}" for name in chain.order for tag in ("latest", f"key-{0:016x}")}
    names |= {f"php:key-{1:016x}": "sha256:php-new", f"db:key-{1:016x}": "sha256:db-built-before"}
    journal = Journal.begin("demo")
    actions = {"php": Action.BUILD, "db": Action.KEEP}
    for tier in chain:
        image = "sha256:db-built-before" if tier.name == "db" else f"sha256:{tier.name}"
        action = actions.get(tier.name, Action.LEAVE)
        decision = Decision(tier, action, (), None if tier.name == "php" else image, {}, was=f"sha256:{tier.name}")
        write_plan(journal, "demo", decision, None)
    journal.passed("php", "sha256:php-new")
    return engine, journal, lambda: promote_run(engine, journal)


def test_what_passed_is_the_release_and_the_rest_belongs_to_it_too(run):
    engine, _journal, promote = run
    done = promote()
    assert done.images == {"php": "sha256:php-new", "db": "sha256:db-built-before"}
    assert {tier.name for tier in done.moved} == {"php", "db"}
    assert engine.world.names["php:latest"] == engine.world.names[f"php:{done.release}"] == "sha256:php-new"
    assert engine.world.names["php:previous"] == "sha256:php"
    assert engine.world.names[f"core:{done.release}"] == engine.world.names["core:latest"] == "sha256:core"
    assert not interrupted("demo")


def test_what_is_released_already_makes_no_release(run, chain):
    engine, journal, promote = run
    promote()
    for name, image in (("php", "sha256:php-new"), ("db", "sha256:db-built-before")):
        write_plan(journal, "demo", Decision(chain[name], Action.KEEP, (), image, {}, was=image), None)
    before = dict(engine.world.names)
    assert promote().release is None
    assert engine.world.names == before


@pytest.mark.parametrize("moved", ["php", "core", "base"])
def test_nothing_moves_if_a_tag_that_counts_was_moved_by_somebody_else(run, moved):
    """That of a tier to promote, or of what it stands on."""
    engine, _journal, promote = run
    engine.world.names[f"{moved}:latest"] = "sha256:app"
    before = dict(engine.world.names)
    expected = (
        f"tier '{moved}': {moved}:latest named sha256:{moved} when this run was planned, and names sha256:app now: "
        "a different run or user moved it. Nothing is promoted"
    )
    with pytest.raises(RunError, match=expected):
        promote()
    assert engine.world.names == before


def test_what_somebody_else_moved_elsewhere_does_not_count(run):
    engine, _journal, promote = run
    engine.world.names["app:latest"] = "sha256:core"
    assert promote().release


def test_nothing_moves_if_an_image_is_gone(run):
    engine, _journal, promote = run
    del engine.world.images["sha256:php-new"]
    del engine.world.names[f"php:key-{1:016x}"]
    before = dict(engine.world.names)
    with pytest.raises(EngineError, match="image sha256:php-new is not on the engine any more"):
        promote()
    assert engine.world.names == before
