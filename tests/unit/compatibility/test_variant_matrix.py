"""The compatibility matrix as a document, and what differs between two."""

from __future__ import annotations

import dataclasses
import json
import string
from datetime import UTC
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.variant_matrix import (
    Cell,
    CellChange,
    CellState,
    Matrix,
    Variant,
    compare,
    matrix_text,
    parse_matrix,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schemas/matrix.json").read_text())
NAMES = st.text(string.ascii_letters + "-<>&\"'\x1b\udc80é", min_size=1, max_size=8)
MAYBE = st.none() | NAMES

CELLS = st.builds(Cell, NAMES, st.sampled_from(CellState), MAYBE, MAYBE, MAYBE, st.none() | st.floats(0, 1e6))
VARIANTS = st.builds(Variant, NAMES, NAMES, st.lists(CELLS, max_size=4, unique_by=lambda cell: cell.tier))
MATRICES = st.builds(
    Matrix,
    schema=st.just(1),
    chain=NAMES,
    release=st.none() | st.just("release-20261124T093000Z"),
    made=st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat()),
    variants=st.lists(VARIANTS, max_size=4, unique_by=lambda variant: variant.name),
)
GOOD = json.loads(
    matrix_text(
        Matrix(
            schema=1,
            chain="demo",
            release="release-20261124T093000Z",
            made="2026-11-24T09:30:00Z",
            variants=[Variant("debian-13", "Debian 13", [Cell("base", CellState.PASSED)])],
        )
    )
)


def made(**variants):
    """A matrix from each variant's tiers with their states, or with the test that fails."""
    states = {state.value: state for state in CellState}
    return Matrix(
        schema=1,
        chain="demo",
        release=None,
        made="2026-11-24T09:30:00Z",
        variants=[
            Variant(
                name,
                name,
                [Cell(tier, states.get(told, CellState.FAILED), None if told in states else told) for tier, told in of],
            )
            for name, of in ((name, tiers.items()) for name, tiers in variants.items())
        ],
    )


@given(MATRICES)
def test_it_comes_back_as_it_was_and_is_as_documented(matrix):
    document = matrix_text(matrix)
    assert parse_matrix(document, "it") == matrix
    jsonschema.validate(json.loads(document), SCHEMA)


@given(MATRICES, MATRICES)
def test_comparing_finds_what_differs_and_nothing_else(one, other):
    assert compare(one, one).changes == []
    assert compare(None, one).changes == []
    there, back = compare(one, other), compare(other, one)
    assert {(each.variant, each.tier, each.before, each.after) for each in there.changes} == {
        (each.variant, each.tier, each.after, each.before) for each in back.changes
    }


def test_changes_are_told_in_order():
    before = made(old={"base": "passed", "web": "passed"}, gone={"base": "passed"})
    after = made(new={"base": "passed"}, old={"base": "passed", "web": "test_php"})
    assert compare(before, after).changes == [
        CellChange("new", "base", None, CellState.PASSED, None),
        CellChange("old", "web", CellState.PASSED, CellState.FAILED, "test_php"),
        CellChange("gone", "base", CellState.PASSED, None, None),
    ]
    again = compare(after, made(new={"base": "passed"}, old={"base": "passed", "web": "test_http"}))
    assert again.changes == [CellChange("old", "web", CellState.FAILED, CellState.FAILED, "test_http")]


def test_what_it_says_of_itself():
    matrix = made(one={"base": "passed", "web": "not reached"}, two={"base": "passed", "db": "passed"})
    assert matrix.tiers == ["base", "web", "db"]
    assert not matrix.passed
    assert matrix.variants[0].cell("web").state is CellState.NOT_REACHED
    assert matrix.variants[0].cell("db") is None
    assert made(one={"base": "passed"}).passed
    assert compare(dataclasses.replace(matrix, release="release-20261124T093000Z"), matrix).before == (
        "release-20261124T093000Z"
    )


def without(key):
    return {name: value for name, value in GOOD.items() if name != key}


@pytest.mark.parametrize(
    ("document", "because"),
    [
        ("{", "Expecting property name"),
        (b"\xff", "can't decode byte"),
        ("[" * 100_000, "recursion"),
        ([], "schema is missing"),
        (GOOD | {"schema": 2}, "schema is 2; expected 1"),
        (GOOD | {"schema": True}, "schema is True"),
        (without("chain"), "chain is missing"),
        (GOOD | {"release": "../x"}, "release is '../x'; expected release-…"),
        (GOOD | {"made": "yesterday"}, "Invalid isoformat string"),
        (GOOD | {"made": "2026-11-24T09:30:00"}, "expected a time with a time zone"),
        (GOOD | {"variants": {}}, "variants is {}"),
        (GOOD | {"variants": [1]}, "tiers is missing"),
        (GOOD | {"variants": [{"name": "a", "title": "A", "tiers": [{"tier": "x"}]}]}, "seconds is missing"),
        (matrix_text(made(a={"b": "passed"})).replace('"seconds": null', '"seconds": NaN'), "seconds is nan"),
        (matrix_text(made(a={"b": "passed"})).replace('"passed"', '"fine"'), "'fine' is not a valid CellState"),
    ],
)
def test_what_is_none_is_refused_with_a_reason(document, because):
    content = document if isinstance(document, str | bytes) else json.dumps(document)
    with pytest.raises(DamagedError, match=r"^it is not a valid compatibility matrix: ") as told:
        parse_matrix(content, "it")
    assert because in str(told.value)
