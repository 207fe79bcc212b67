"""What ``tierwright matrix`` says."""

from __future__ import annotations

import json

import jsonschema
import pytest
from click.testing import CliRunner

import schemas
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.matrix_store import save_matrix
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.variant_matrix import (
    Cell,
    CellState,
    Matrix,
    Variant,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder

BASE = Cell("base", CellState.PASSED)


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def ask(*arguments, code=0):
    done = CliRunner().invoke(tierwright, ["matrix", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def make(*variants, chain="demo", release=None, made="2026-11-24T09:30:00Z"):
    save_matrix(state_folder(chain), Matrix(1, chain, release, made, list(variants)))


def test_a_table_the_failures_and_what_changed():
    make(
        Variant("debian-12", "Debian 12", [BASE, Cell("web", CellState.PASSED)]),
        release="release-20261123T093000Z",
        made="2026-11-23T09:30:00Z",
    )
    make(
        Variant("debian-12", "Debian 12", [BASE, Cell("web", CellState.PASSED), Cell("shop", CellState.PASSED)]),
        Variant(
            "debian-13",
            "Debian 13",
            [
                BASE,
                Cell("web", CellState.FAILED, "test_php.py::test_session", "no\n<session>\x1b[2J"),
                Cell("shop", CellState.NOT_REACHED),
            ],
        ),
        release="release-20261124T093000Z",
    )
    assert ask().splitlines() == [
        "demo, release-20261124T093000Z, made 2026-11-24T09:30:00Z",
        "",
        "TIER  Debian 12  Debian 13",
        "base  passed     passed",
        "web   passed     FAILED",
        "shop  passed     not reached",
        "",
        r"web failed on Debian 13, test_php.py::test_session: no <session>\x1b[2J",
        "",
        "since release-20261123T093000Z:",
        "  shop on debian-12: - -> passed",
        "  base on debian-13: - -> passed",
        "  web on debian-13: - -> failed, test_php.py::test_session",
        "  shop on debian-13: - -> not reached",
    ]
    assert ask("--changes").splitlines() == ask().splitlines()[-5:]
    ask("--fail", code=1)


def test_nothing_to_compare_with_and_nothing_changed():
    make(Variant("debian-12", "Debian 12", [BASE]))
    assert ask("--fail").splitlines()[-1] == "there is no earlier matrix here to compare it with"
    make(Variant("debian-12", "Debian 12", [BASE]), made="2026-11-25T09:30:00Z")
    assert ask().splitlines()[-1] == "nothing changed since 2026-11-24T09:30:00Z"


def test_a_tier_that_a_variant_does_not_have():
    make(Variant("one", "One", [BASE]), Variant("two", "Two", [Cell("db", CellState.PASSED)]))
    assert ask().splitlines()[3:5] == ["base  passed  -", "db    -       passed"]


def test_changes_as_json_are_as_documented():
    make(Variant("one", "One", [BASE]))
    make(Variant("one", "One", [Cell("base", CellState.FAILED, "test_it")]), made="2026-11-25T09:30:00Z")
    told = json.loads(ask("--changes", "--json"))
    jsonschema.validate(told, json.loads(schemas.path("matrix --changes").read_text()))
    assert told["changes"] == [
        {"variant": "one", "tier": "base", "before": "passed", "after": "failed", "test": "test_it"}
    ]


def test_which_chain():
    assert "no compatibility matrix of any chain" in ask(code=3)
    make(Variant("one", "One", [BASE]), chain="a/b")
    state_folder("other").mkdir()
    assert ask().startswith("a/b, not released")
    assert "contains no compatibility matrix" in ask("other", code=3)
    make(Variant("one", "One", [BASE]), chain="c")
    assert "name one of a/b, c" in ask(code=2)
    assert ask("c").startswith("c, ")
