"""Which tiers are promoted, and what becomes of their tags."""

from __future__ import annotations

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, RunError, TrustError
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


def test_all_tiers_that_passed_are_promoted(chain):
    assert promotable(chain, passed(*chain.order), frozenset()) == list(chain.order)


def test_a_failed_tier_blocks_its_ancestors_and_not_other_branches(chain):
    assert promotable(chain, passed("base", "core", "php", "db"), frozenset({"app"})) == ["db"]


def test_tiers_that_failed_or_were_not_in_the_run_do_not_move(chain):
    assert promotable(chain, passed("php"), frozenset()) == ["php"]
    assert promotable(chain, passed("base"), frozenset({"core", "php", "db", "app"})) == []


def test_a_failed_tier_blocks_its_neighbours(make_tier):
    tiers = [make_tier("base"), make_tier("php", "base"), make_tier("db", "base")]
    chain = Chain([*tiers, make_tier("app", "php", neighbours=("db",))])
    assert promotable(chain, passed("base", "php", "db"), frozenset({"app"})) == []
    assert promotable(chain, passed("base", "php", "app"), frozenset({"db"})) == ["php", "app"]


def test_descendants_of_a_failed_kept_tier_do_not_move(chain):
    assert promotable(chain, passed("base", "core", "db", "app"), frozenset({"php"})) == ["db"]


@pytest.mark.parametrize("has_passed", [False, True])
def test_a_kept_tier_that_is_tested_again_moves_only_if_it_passed(run, chain, has_passed):
    _engine, journal, promote = run
    kept = Decision(chain["db"], Action.KEEP, (), "sha256:db-built-before", {}, was="sha256:db", untested=("why",))
    write_plan(journal, "demo", kept, None)
    if has_passed:
        journal.passed("db", "sha256:db-built-before", "kept")
    assert {tier.name for tier in promote().moved} == ({"php", "db"} if has_passed else {"php"})


@pytest.fixture
def run(chain, monkeypatch, tmp_path):
    """A run in which `php` was built. `db` is kept, but its release tag names an older image."""
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
    return engine, journal, lambda *prepare: promote_run(engine, journal, *prepare)


def test_a_promotion_moves_the_tags_and_the_release_contains_all_tiers(run):
    engine, _journal, promote = run
    promotion = promote()
    assert promotion.images == {"php": "sha256:php-new", "db": "sha256:db-built-before"}
    assert {tier.name for tier in promotion.moved} == {"php", "db"}
    assert engine.world.names["php:latest"] == engine.world.names[f"php:{promotion.release}"] == "sha256:php-new"
    assert engine.world.names["php:previous"] == "sha256:php"
    assert engine.world.names[f"core:{promotion.release}"] == engine.world.names["core:latest"] == "sha256:core"
    assert not interrupted("demo")


def test_images_that_are_already_released_make_no_new_release(run, chain):
    engine, journal, promote = run
    promote()
    for name, image in (("php", "sha256:php-new"), ("db", "sha256:db-built-before")):
        write_plan(journal, "demo", Decision(chain[name], Action.KEEP, (), image, {}, was=image), None)
    before = dict(engine.world.names)
    assert promote().release is None
    assert engine.world.names == before


@pytest.mark.parametrize("moved", ["php", "core", "base"])
def test_nothing_moves_if_a_different_run_moved_a_relevant_tag(run, moved):
    """Relevant are the tags of the tiers to promote and of their ancestors."""
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


def test_a_tag_that_moved_elsewhere_does_not_block_a_promotion(run):
    engine, _journal, promote = run
    engine.world.names["app:latest"] = "sha256:core"
    assert promote().release


def test_nothing_moves_if_an_image_was_removed(run):
    engine, _journal, promote = run
    del engine.world.images["sha256:php-new"]
    del engine.world.names[f"php:key-{1:016x}"]
    before = dict(engine.world.names)
    with pytest.raises(EngineError, match="image sha256:php-new is not on the engine any more"):
        promote()
    assert engine.world.names == before


def test_a_promotion_is_prepared_before_tags_move(run):
    engine, _journal, promote = run
    seen = []
    promote(lambda images, moving: seen.append((dict(images), set(moving), engine.world.names["php:latest"])))
    images = {"php": "sha256:php-new", "db": "sha256:db-built-before"}
    assert seen == [(images, {"php", "db"}, "sha256:php")]


def test_images_that_are_already_released_are_prepared_too(run, chain):
    _engine, journal, promote = run
    promote()
    for name, image in (("php", "sha256:php-new"), ("db", "sha256:db-built-before")):
        write_plan(journal, "demo", Decision(chain[name], Action.KEEP, (), image, {}, was=image), None)
    seen = []
    promote(lambda images, moving: seen.append((dict(images), set(moving))))
    assert seen == [({"php": "sha256:php-new", "db": "sha256:db-built-before"}, set())]


def test_images_of_other_teams_are_not_prepared(run, chain):
    _engine, journal, promote = run
    followed = msgspec.structs.replace(chain["base"], source=Follow("registry.example.org/base"))
    kept = Decision(followed, Action.KEEP, (), "sha256:base", {}, was="sha256:base")
    write_plan(journal, "demo", kept, None)
    seen = []
    assert "base" in promote(lambda images, _moving: seen.extend(images)).images
    assert set(seen) == {"php", "db"}


def test_nothing_moves_if_the_preparation_rejects_it(run):
    engine, _journal, promote = run
    before = dict(engine.world.names)

    def reject(_images, _moving):
        raise TrustError("tier 'php' has 1 signature of operations; the policy requires 2")

    with pytest.raises(TrustError, match="the policy requires 2"):
        promote(reject)
    assert engine.world.names == before
