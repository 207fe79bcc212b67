"""The output of ``tierwright matrix``."""

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


def run(*arguments, code=0):
    result = CliRunner().invoke(tierwright, ["matrix", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def save(*variants, chain="demo", release=None, made="2026-11-24T09:30:00Z"):
    save_matrix(state_folder(chain), Matrix(1, chain, release, made, list(variants)))


def test_the_output_has_a_table_failures_and_changes():
    save(
        Variant("debian-12", "Debian 12", [BASE, Cell("web", CellState.PASSED)]),
        release="release-20261123T093000Z",
        made="2026-11-23T09:30:00Z",
    )
    save(
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
    assert run().splitlines() == [
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
    assert run("--changes").splitlines() == run().splitlines()[-5:]
    run("--fail", code=1)


def test_a_missing_or_equal_earlier_matrix_is_reported():
    save(Variant("debian-12", "Debian 12", [BASE]))
    assert run("--fail").splitlines()[-1] == "there is no earlier matrix here to compare it with"
    save(Variant("debian-12", "Debian 12", [BASE]), made="2026-11-25T09:30:00Z")
    assert run().splitlines()[-1] == "nothing changed since 2026-11-24T09:30:00Z"


def test_a_tier_may_be_missing_in_a_variant():
    save(Variant("one", "One", [BASE]), Variant("two", "Two", [Cell("db", CellState.PASSED)]))
    assert run().splitlines()[3:5] == ["base  passed  -", "db    -       passed"]


def test_json_of_changes_matches_the_documented_schema():
    save(Variant("one", "One", [BASE]))
    save(Variant("one", "One", [Cell("base", CellState.FAILED, "test_it")]), made="2026-11-25T09:30:00Z")
    document = json.loads(run("--changes", "--json"))
    jsonschema.validate(document, json.loads(schemas.path("matrix --changes").read_text()))
    assert document["changes"] == [
        {"variant": "one", "tier": "base", "before": "passed", "after": "failed", "test": "test_it"}
    ]


def test_the_chain_must_be_named_if_several_have_a_matrix():
    assert "no compatibility matrix of any chain" in run(code=3)
    save(Variant("one", "One", [BASE]), chain="a/b")
    state_folder("other").mkdir()
    assert run().startswith("a/b, not released")
    assert "contains no compatibility matrix" in run("other", code=3)
    save(Variant("one", "One", [BASE]), chain="c")
    assert "name one of a/b, c" in run(code=2)
    assert run("c").startswith("c, ")
