"""A run over a variant becomes a column of the chain's compatibility matrix."""

from __future__ import annotations

import os

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.matrix_store import (
    VariantRef,
    newest_matrix,
    note_variant,
    record_column,
    saved_matrices,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.variant_matrix import (
    CellState,
    matrix_text,
    parse_matrix,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal, state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan
from fake_engine import FakeEngine

PARENTS = {"base": None, "core": "base", "php": "core", "db": "core", "blog": "php"}
OLD, NEW = "release-20261124T093000Z", "release-20261125T093000Z"
FAILURE = {"test": "roles/php/tests/test_php.py::test_it", "owner": "web", "tier": "php", "message": "no", "log": ""}


def holding(*names):
    """An engine that has images of the chain ``shop`` under these names."""
    engine = FakeEngine()
    engine.add("sha256:1", {labels.CHAIN: "shop"}, *names)
    engine.add("sha256:2", None, f"other:{NEW}")
    return engine


@pytest.fixture
def run(monkeypatch, tmp_path, make_tier):
    """Pretend a run of which some tiers ended so, and return its journal."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def run(ends, tested=None, kept=(), variant="debian-13", left=()):
        journal = Journal.begin("variants")
        for name, parent in PARENTS.items():
            action = Action.LEAVE if name in left else Action.KEEP if name in kept else Action.BUILD
            image = f"sha256:{name}" if name in kept else None
            write_plan(journal, "variants", Decision(make_tier(name, parent), action, (), image, {}), name)
        for name, reason in ends.items():
            if reason is None:
                journal.passed(name, f"sha256:{name}")
            else:
                journal.failed(name, reason)
        for name, fact in (tested or {}).items():
            journal.write("tested", name, fact)
        if variant:
            note_variant(journal, VariantRef(variant, variant.title(), "shop"))
        return journal

    return run


def states():
    matrix, _before = newest_matrix(state_folder("shop"))
    return {cell.tier: str(cell.state) for cell in matrix.variants[-1].tiers}


def test_what_failed_is_told_apart_from_what_was_not_reached(run):
    ends = {"base": None, "core": None, "db": None, "php": "task 'x': no", "blog": "its parent 'php' failed"}
    told = record_column(holding(f"web:{OLD}"), run(ends))
    assert told == "variant Debian-13 of chain shop: 3 of 5 tiers passed; `tierwright matrix shop` shows all"
    assert states() == {"base": "passed", "core": "passed", "php": "failed", "blog": "not reached", "db": "passed"}
    matrix, _before = newest_matrix(state_folder("shop"))
    php, blog = matrix.variants[0].cell("php"), matrix.variants[0].cell("blog")
    assert (php.test, php.message, php.image) == (None, "task 'x': no", None)
    assert blog.message == "its parent 'php' failed"
    assert matrix.release == OLD
    assert parse_matrix(matrix_text(matrix), "matrix") == matrix


def test_the_first_test_that_failed_is_told(run):
    tested = {
        "core": {"image": "sha256:core", "passed": True, "seconds": 1.0, "tests": 2, "failed": []},
        "php": {"image": "sha256:php", "passed": False, "seconds": 1.0, "tests": 2, "failed": [FAILURE, FAILURE]},
    }
    record_column(
        holding(), run({"base": None, "core": None, "db": None, "php": "its tests failed", "blog": "x"}, tested)
    )
    cell = newest_matrix(state_folder("shop"))[0].variants[0].cell("php")
    assert (cell.state, cell.test, cell.message, cell.image) == (CellState.FAILED, FAILURE["test"], "no", "sha256:php")


def test_what_was_kept_passed_unless_its_tests_fail_now(run):
    tested = {"db": {"image": "sha256:db", "passed": False, "seconds": 1.0, "tests": 1, "failed": [FAILURE]}}
    record_column(holding(), run({}, tested, kept=PARENTS))
    assert states() == dict.fromkeys(PARENTS, "passed") | {"db": "failed"}


def test_a_run_that_died_reached_nothing_more(run):
    record_column(holding(), run({"base": None}))
    assert states() == dict.fromkeys(PARENTS, "not reached") | {"base": "passed"}


def test_tiers_that_the_run_left_out_are_not_asked(run):
    record_column(holding(), run({"base": None, "core": None}, left=("php", "db", "blog")))
    assert states() == {"base": "passed", "core": "passed"}


def test_a_build_s_time_is_told(run):
    journal = run({"base": None, "core": None, "php": None, "db": None, "blog": None})
    journal.write("build", "php", {})
    began = journal.moment("build", "php")
    os.utime(journal.folder / "php.outcome.json", (began + 12.34, began + 12.34))
    record_column(holding(), journal)
    variant = newest_matrix(state_folder("shop"))[0].variants[0]
    assert (variant.cell("php").seconds, variant.cell("db").seconds) == (12.3, None)

    record_column(holding(), run({}, kept=PARENTS))  # the same images
    variant = newest_matrix(state_folder("shop"))[0].variants[0]
    assert (variant.cell("php").seconds, variant.cell("db").seconds) == (12.3, None)


@pytest.mark.parametrize("names", [(), (f"web:{OLD}",)], ids=["unreleased", "released"])
def test_variants_come_together_and_replace_themselves(run, names):
    for variant, ends in [("a", {"base": None}), ("b", {}), ("a", {})]:
        record_column(holding(*names), run(ends, variant=variant))
    (matrix,) = saved_matrices(state_folder("shop"))
    assert [each.name for each in matrix.variants] == ["a", "b"]
    assert matrix.variants[0].cell("base").state is CellState.NOT_REACHED


def test_the_next_release_has_a_matrix_of_its_own(run):
    record_column(holding(f"web:{OLD}"), run({}, variant="a"))
    record_column(holding(f"web:{OLD}", f"web:{NEW}"), run({}, variant="b"))
    assert {
        each.release: [variant.name for variant in each.variants] for each in saved_matrices(state_folder("shop"))
    } == {
        OLD: ["a"],
        NEW: ["b"],
    }


def test_another_run_is_no_column(run):
    assert record_column(holding(), run({}, variant=None)) is None
    assert not state_folder("shop").exists()


def test_the_title_is_the_name_unless_one_says_otherwise():
    assert VariantRef.read({"name": "a", "of": "shop"}) == VariantRef("a", "a", "shop")
    assert VariantRef.read({"name": "a", "title": "A", "of": "shop"}) == VariantRef("a", "A", "shop")


@pytest.mark.parametrize(
    "given",
    [
        "debian-13",
        {},
        {"name": "a"},
        {"name": "a", "of": ""},
        {"name": 13, "of": "b"},
        {"name": "a", "of": "b", "x": "c"},
    ],
)
def test_a_wrong_variable_is_told(given):
    with pytest.raises(ChainError, match=r"tier_variant is .*; expected a dictionary with two texts: name, and of"):
        VariantRef.read(given)


@pytest.mark.parametrize("key", ["name", "of"])
@pytest.mark.parametrize("given", ["..", ".", "x" * 300])
def test_a_variant_and_its_chain_stay_in_their_folder(key, given):
    asked = {"name": "debian-13", "of": "shop", key: given}
    with pytest.raises(ChainError, match=rf"^tier_variant\.{key} is .* is not a valid name of a chain"):
        VariantRef.read(asked)
