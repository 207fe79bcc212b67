"""The compatibility matrix as a document, and the differences between two."""

from __future__ import annotations

import json
import string
from datetime import UTC
from pathlib import Path

import jsonschema
import msgspec
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


def make_matrix(**variants):
    """A matrix from the tiers of each variant, with their states or their failed tests."""
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
                [
                    Cell(tier, states.get(outcome, CellState.FAILED), None if outcome in states else outcome)
                    for tier, outcome in outcomes
                ],
            )
            for name, outcomes in ((name, tiers.items()) for name, tiers in variants.items())
        ],
    )


@given(MATRICES)
def test_a_document_matches_the_schema_and_is_read_back(matrix):
    document = matrix_text(matrix)
    assert parse_matrix(document, "it") == matrix
    jsonschema.validate(json.loads(document), SCHEMA)


@given(MATRICES, MATRICES)
def test_a_comparison_finds_the_same_changes_in_both_directions(one, other):
    assert compare(one, one).changes == []
    assert compare(None, one).changes == []
    forward, backward = compare(one, other), compare(other, one)
    assert {(change.variant, change.tier, change.before, change.after) for change in forward.changes} == {
        (change.variant, change.tier, change.after, change.before) for change in backward.changes
    }


def test_changes_are_listed_in_order():
    before = make_matrix(old={"base": "passed", "web": "passed"}, gone={"base": "passed"})
    after = make_matrix(new={"base": "passed"}, old={"base": "passed", "web": "test_php"})
    assert compare(before, after).changes == [
        CellChange("new", "base", None, CellState.PASSED, None),
        CellChange("old", "web", CellState.PASSED, CellState.FAILED, "test_php"),
        CellChange("gone", "base", CellState.PASSED, None, None),
    ]
    again = compare(after, make_matrix(new={"base": "passed"}, old={"base": "passed", "web": "test_http"}))
    assert again.changes == [CellChange("old", "web", CellState.FAILED, CellState.FAILED, "test_http")]


def test_the_properties_of_a_matrix():
    matrix = make_matrix(one={"base": "passed", "web": "not reached"}, two={"base": "passed", "db": "passed"})
    assert matrix.tiers == ["base", "web", "db"]
    assert not matrix.passed
    assert matrix.variants[0].cell("web").state is CellState.NOT_REACHED
    assert matrix.variants[0].cell("db") is None
    assert make_matrix(one={"base": "passed"}).passed
    assert compare(msgspec.structs.replace(matrix, release="release-20261124T093000Z"), matrix).before == (
        "release-20261124T093000Z"
    )


def without(key):
    return {name: value for name, value in GOOD.items() if name != key}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "Expecting property name"),
        (b"\xff", "can't decode byte"),
        ("[" * 100_000, "nested too deeply"),
        ([], "Expected `object`, got `array`"),
        (GOOD | {"schema": 2}, "schema is 2; expected 1"),
        (GOOD | {"schema": True}, "Expected `int`, got `bool` - at `$.schema`"),
        (without("chain"), "Object missing required field `chain`"),
        (GOOD | {"release": "../x"}, "release is '../x'; expected release-…"),
        (GOOD | {"made": "yesterday"}, "Invalid isoformat string"),
        (GOOD | {"made": "2026-11-24T09:30:00"}, "expected a time with a time zone"),
        (GOOD | {"variants": {}}, "Expected `array`, got `object` - at `$.variants`"),
        (GOOD | {"variants": [1]}, "Expected `object`, got `int` - at `$.variants[0]`"),
        (
            GOOD | {"variants": [{"name": "a", "title": "A", "tiers": [{"tier": "x"}]}]},
            "missing required field `state`",
        ),
        (
            matrix_text(make_matrix(a={"b": "passed"})).replace('"seconds": null', '"seconds": NaN'),
            "Expected a finite number, got `NaN`",
        ),
        (
            matrix_text(make_matrix(a={"b": "passed"})).replace('"passed"', '"fine"'),
            "Invalid enum value 'fine' - at `$.variants[0].tiers[0].state`",
        ),
    ],
)
def test_an_invalid_document_is_rejected_with_a_reason(document, reason):
    content = document if isinstance(document, str | bytes) else json.dumps(document)
    with pytest.raises(DamagedError, match=r"^it is not a valid compatibility matrix: ") as raised:
        parse_matrix(content, "it")
    assert reason in str(raised.value)
