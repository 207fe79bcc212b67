"""State from before chains had their own names: each project takes over its own part, and leaves the rest."""

from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.matrix_store import (
    save_matrix,
    saved_matrices,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.variant_matrix import (
    SCHEMA,
    Cell,
    CellState,
    Matrix,
    Variant,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import adopt_former_state
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.claim import claim
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal, runs, state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.owner import Home
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import note_plan, read_status
from fake_engine import FakeEngine

OLD = "inventory"


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def decision(make_tier):
    return lambda name: Decision(make_tier(name), Action.BUILD, ("why",), None, {})


def home(*tiers):
    return Home("/home/anne/shop/inventory", "builder", "anne", tuple(f"{tier} {tier}" for tier in tiers), former=OLD)


def mark_killed(journal):
    path = journal.folder / "holder"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"birth": "another"}))
    return journal


def promotion(number, *repositories):
    path = state_folder(OLD) / f"promotion-{number}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"engine": "x", "moves": [{"repository": repository} for repository in repositories]}))
    return path.name


def test_the_status_of_own_tiers_is_taken_over(decision):
    note_plan(OLD, {name: decision(name) for name in ("web", "db")}, ["web", "db"])
    adopt_former_state(FakeEngine(), "shop", home("web"), print)
    assert list(read_status("shop")) == ["web"]
    assert list(read_status(OLD)) == ["db"]


def test_an_interrupted_promotion_is_taken_over_by_its_project():
    mine, theirs, both = promotion(1, "web"), promotion(2, "db"), promotion(3, "web", "db")
    (state_folder(OLD) / "promotion-4.json").write_text("{")
    adopt_former_state(FakeEngine(), "shop", home("web"), print)
    assert sorted(path.name for path in state_folder("shop").glob("promotion-*")) == [mine]
    assert sorted(path.name for path in state_folder(OLD).glob("promotion-*")) == [theirs, both, "promotion-4.json"]


def test_a_killed_run_is_taken_over_by_its_project(decision):
    journals = {name: Journal.begin(OLD) for name in ("web", "db", "lives", "empty")}
    for name, journal in journals.items():
        if name != "empty":
            write_plan(journal, OLD, decision("db" if name == "db" else "web"), None)
        if name != "lives":
            mark_killed(journal)
    adopt_former_state(FakeEngine(), "shop", home("web"), print)
    assert [run.run for run in runs("shop")] == [journals["web"].run]
    assert {run.run for run in runs(OLD)} == {journals[name].run for name in ("db", "lives", "empty")}


def test_matrices_are_taken_over_under_the_new_name():
    for time, tier in (("2026-11-01T00:00:00+00:00", "web"), ("2026-11-02T00:00:00+00:00", "db")):
        save_matrix(
            state_folder(OLD), Matrix(SCHEMA, OLD, None, time, [Variant("a", "A", [Cell(tier, CellState.PASSED)])])
        )
    adopt_former_state(FakeEngine(), "shop", home("web"), print)
    assert [(matrix.chain, matrix.tiers) for matrix in saved_matrices(state_folder("shop"))] == [("shop", ["web"])]
    assert len(saved_matrices(state_folder(OLD))) == 2


def test_a_chain_without_a_former_name_takes_over_nothing(decision):
    note_plan(OLD, {"web": decision("web")}, ["web"])
    adopt_former_state(FakeEngine(), "shop", Home("/x", "builder", "anne", ("web web",)), print)
    assert not state_folder("shop").exists()
    assert list(read_status(OLD)) == ["web"]


def test_the_status_of_repositories_that_a_different_project_claims_stays(decision):
    engine = FakeEngine()
    claim(engine, "blog", Home("/blog", "elsewhere", "cleo", ("web web",)))
    note_plan(OLD, {name: decision(name) for name in ("web", "db")}, ["web", "db"])
    adopt_former_state(engine, "shop", home("web", "db"), print)
    assert list(read_status("shop")) == ["db"]
    assert list(read_status(OLD)) == ["web"]
