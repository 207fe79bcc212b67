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
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.tier_records import (
    GateRecord,
    RejectedTest,
    write_tested,
)
from fake_engine import FakeEngine

PARENTS = {"base": None, "core": "base", "php": "core", "db": "core", "blog": "php"}
OLD, NEW = "release-20261124T093000Z", "release-20261125T093000Z"
FAILURE = RejectedTest("roles/php/tests/test_php.py::test_it", "web", "php", "no", "")


def engine_with(*names):
    """An engine with images of the chain ``shop`` under these names."""
    engine = FakeEngine()
    engine.add("sha256:1", {labels.CHAIN: "shop"}, *names)
    engine.add("sha256:2", None, f"other:{NEW}")
    return engine


@pytest.fixture
def run(monkeypatch, tmp_path, make_tier):
    """A function that simulates a run with the given results of tiers, and returns its journal."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def run(outcomes, tested=None, kept=(), variant="debian-13", left_out=()):
        journal = Journal.begin("variants")
        for name, parent in PARENTS.items():
            action = Action.LEAVE if name in left_out else Action.KEEP if name in kept else Action.BUILD
            image = f"sha256:{name}" if name in kept else None
            write_plan(journal, "variants", Decision(make_tier(name, parent), action, (), image, {}), name)
        for name, reason in outcomes.items():
            if reason is None:
                journal.passed(name, f"sha256:{name}")
            else:
                journal.failed(name, reason)
        for name, fact in (tested or {}).items():
            write_tested(journal, name, fact)
        if variant:
            note_variant(journal, VariantRef(variant, variant.title(), "shop"))
        return journal

    return run


def states():
    matrix, _before = newest_matrix(state_folder("shop"))
    return {cell.tier: str(cell.state) for cell in matrix.variants[-1].tiers}


def test_failed_tiers_are_distinguished_from_tiers_not_reached(run):
    outcomes = {"base": None, "core": None, "db": None, "php": "task 'x': no", "blog": "its parent 'php' failed"}
    message = record_column(engine_with(f"web:{OLD}"), run(outcomes))
    assert message == "variant Debian-13 of chain shop: 3 of 5 tiers passed; `tierwright matrix shop` shows all"
    assert states() == {"base": "passed", "core": "passed", "php": "failed", "blog": "not reached", "db": "passed"}
    matrix, _before = newest_matrix(state_folder("shop"))
    php, blog = matrix.variants[0].cell("php"), matrix.variants[0].cell("blog")
    assert (php.test, php.message, php.image) == (None, "task 'x': no", None)
    assert blog.message == "its parent 'php' failed"
    assert matrix.release == OLD
    assert parse_matrix(matrix_text(matrix), "matrix") == matrix


def test_the_first_failed_test_is_recorded(run):
    tested = {
        "core": GateRecord("sha256:core", passed=True, seconds=1, tests=2),
        "php": GateRecord("sha256:php", passed=False, seconds=1, tests=2, failed=(FAILURE, FAILURE)),
    }
    record_column(
        engine_with(), run({"base": None, "core": None, "db": None, "php": "its tests failed", "blog": "x"}, tested)
    )
    cell = newest_matrix(state_folder("shop"))[0].variants[0].cell("php")
    assert (cell.state, cell.test, cell.message, cell.image) == (CellState.FAILED, FAILURE.test, "no", "sha256:php")


def test_a_kept_tier_has_passed_unless_its_tests_fail(run):
    tested = {"db": GateRecord("sha256:db", passed=False, seconds=1, tests=1, failed=(FAILURE,))}
    record_column(engine_with(), run({}, tested, kept=PARENTS))
    assert states() == dict.fromkeys(PARENTS, "passed") | {"db": "failed"}


def test_tiers_after_the_death_of_a_run_are_not_reached(run):
    record_column(engine_with(), run({"base": None}))
    assert states() == dict.fromkeys(PARENTS, "not reached") | {"base": "passed"}


def test_tiers_that_the_run_left_out_are_omitted(run):
    record_column(engine_with(), run({"base": None, "core": None}, left_out=("php", "db", "blog")))
    assert states() == {"base": "passed", "core": "passed"}


def test_the_duration_of_a_build_is_recorded(run):
    journal = run({"base": None, "core": None, "php": None, "db": None, "blog": None})
    journal.write("build", "php", {})
    start = journal.moment("build", "php")
    os.utime(journal.folder / "php.outcome.json", (start + 12.34, start + 12.34))
    record_column(engine_with(), journal)
    variant = newest_matrix(state_folder("shop"))[0].variants[0]
    assert (variant.cell("php").seconds, variant.cell("db").seconds) == (12.3, None)

    record_column(engine_with(), run({}, kept=PARENTS))  # the same images
    variant = newest_matrix(state_folder("shop"))[0].variants[0]
    assert (variant.cell("php").seconds, variant.cell("db").seconds) == (12.3, None)


@pytest.mark.parametrize("names", [(), (f"web:{OLD}",)], ids=["unreleased", "released"])
def test_variants_share_a_matrix_and_replace_their_old_column(run, names):
    for variant, outcomes in [("a", {"base": None}), ("b", {}), ("a", {})]:
        record_column(engine_with(*names), run(outcomes, variant=variant))
    (matrix,) = saved_matrices(state_folder("shop"))
    assert [column.name for column in matrix.variants] == ["a", "b"]
    assert matrix.variants[0].cell("base").state is CellState.NOT_REACHED


def test_each_release_has_a_matrix_of_its_own(run):
    record_column(engine_with(f"web:{OLD}"), run({}, variant="a"))
    record_column(engine_with(f"web:{OLD}", f"web:{NEW}"), run({}, variant="b"))
    assert {
        matrix.release: [variant.name for variant in matrix.variants] for matrix in saved_matrices(state_folder("shop"))
    } == {
        OLD: ["a"],
        NEW: ["b"],
    }


def test_a_run_without_a_variant_is_not_recorded(run):
    assert record_column(engine_with(), run({}, variant=None)) is None
    assert not state_folder("shop").exists()


def test_the_default_title_is_the_name():
    assert VariantRef.read({"name": "a", "of": "shop"}) == VariantRef("a", "a", "shop")
    assert VariantRef.read({"name": "a", "title": "A", "of": "shop"}) == VariantRef("a", "A", "shop")


@pytest.mark.parametrize(
    "value",
    [
        "debian-13",
        {},
        {"name": "a"},
        {"name": "a", "of": ""},
        {"name": 13, "of": "b"},
        {"name": "a", "of": "b", "x": "c"},
    ],
)
def test_an_invalid_variable_is_rejected(value):
    with pytest.raises(ChainError, match=r"tier_variant is .*; expected a dictionary with two texts: name, and of"):
        VariantRef.read(value)


@pytest.mark.parametrize("key", ["name", "of"])
@pytest.mark.parametrize("name", ["..", ".", "x" * 300])
def test_names_cannot_lead_out_of_the_folder(key, name):
    value = {"name": "debian-13", "of": "shop", key: name}
    with pytest.raises(ChainError, match=rf"^tier_variant\.{key} is .* is not a valid name of a chain"):
        VariantRef.read(value)
