"""Records come back from JSON as they were; what has another form is refused with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.source_version import Commit
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import (
    Bootstrap,
    Cage,
    Import,
    Pull,
    Tier,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.variant_matrix import (
    Cell,
    CellState,
    Matrix,
    Variant,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.role_tests import RoleTests, Suite
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.records import decode, encode
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import Planned
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import (
    Ended,
    FailedTestRecord,
    Standing,
    Wanted,
)


class Point(NamedTuple):
    x: int
    y: int = 0


@dataclass(frozen=True, slots=True)
class Inner:
    count: int
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    inner: Inner
    points: tuple[Point, ...] = ()
    more: Mapping[str, Inner] | None = None


# Of any characters, as in names of files that are not UTF-8.
TEXTS = st.text(st.characters(), max_size=5) | st.just("web") | st.just(b"\xff".decode(errors="surrogateescape"))
MAYBE = st.none() | TEXTS
TUPLES = st.lists(TEXTS, max_size=3).map(tuple)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SOURCES = (
    st.builds(Bootstrap, TEXTS, TUPLES, TUPLES, MAYBE, MAYBE) | st.builds(Import, TEXTS, TEXTS) | st.builds(Pull, TEXTS)
)
TIERS = st.builds(
    Tier,
    *(TEXTS, TEXTS, TEXTS, TEXTS, MAYBE, MAYBE),
    source=st.none() | SOURCES,
    neighbours=TUPLES,
    cage=st.builds(Cage, TUPLES, st.integers(), st.integers()),
    epoch=st.none() | st.integers(),
)
TESTS = st.builds(RoleTests, TEXTS, TEXTS, TEXTS)
PARTS = st.dictionaries(TEXTS, TEXTS, max_size=3)
PLANS = st.builds(
    Planned,
    *(TEXTS, TIERS, st.sampled_from(Action), MAYBE, PARTS, MAYBE, st.booleans()),
    elsewhere=st.lists(PARTS, max_size=2).map(tuple),
    roles=TUPLES,
    projects=TUPLES,
    was=MAYBE,
    tests=st.builds(Suite, st.none() | TESTS, st.lists(TESTS, max_size=2).map(tuple)),
    untested=st.booleans(),
    commit=st.none() | st.builds(Commit, TEXTS, st.integers(), st.booleans()),
)
FAILURES = st.lists(st.builds(FailedTestRecord, MAYBE, MAYBE, TEXTS), max_size=2)
COUNTS = st.none() | st.integers()
STANDINGS = st.builds(
    Standing,
    *(TEXTS, TEXTS, MAYBE, TEXTS),
    st.none() | st.builds(Wanted, TEXTS, TEXTS, st.lists(TEXTS, max_size=2)),
    st.none() | st.builds(Ended, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, MAYBE, COUNTS, FAILURES),
)
CELLS = st.builds(Cell, TEXTS, st.sampled_from(CellState), MAYBE, MAYBE, MAYBE, st.none() | NUMBERS)
VARIANTS = st.builds(Variant, TEXTS, TEXTS, st.lists(CELLS, max_size=2))
MATRICES = st.builds(Matrix, st.integers(), TEXTS, MAYBE, TEXTS, st.lists(VARIANTS, max_size=2))
RECORDS = PLANS | STANDINGS | MATRICES


@given(RECORDS, st.booleans())
def test_a_record_comes_back_as_it_was(record, exact):
    text = encode(record)
    assert decode(text, type(record), exact=exact) == record
    assert text.isascii()


@given(st.dictionaries(TEXTS, STANDINGS, max_size=2))
def test_a_dictionary_of_records_comes_back_as_it_was(records):
    assert decode(encode(records, indent=2), dict[str, Standing], exact=True) == records


def test_the_text_is_as_json_writes_it():
    record = Outer("a", Inner(1), (Point(1),), {"b": Inner(2, 0.5)})
    fields = {"name": "a", "inner": {"count": 1, "share": None}, "points": [[1, 0]]}
    fields["more"] = {"b": {"count": 2, "share": 0.5}}
    assert encode(record) == json.dumps(fields)
    assert encode(record, indent=2) == json.dumps(fields, indent=2)
    assert encode(record, sort_keys=True) == json.dumps(fields, sort_keys=True)
    assert decode(encode(record).encode(), Outer) == record


def nested(**fields: Any) -> str:
    return json.dumps({"name": "a", "inner": {"count": 1}} | fields)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        (b"\xff", "can't decode byte"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "Object missing required field `name`"),
        (nested(name=1), "Expected `str`, got `int` - at `$.name`"),
        (nested(inner={"count": "1"}), "Expected `int`, got `str` - at `$.inner.count`"),
        (nested(inner={"count": True}), "Expected `int`, got `bool` - at `$.inner.count`"),
        (nested(inner={"count": 1.5}), "Expected `int`, got `float` - at `$.inner.count`"),
        (nested(inner={"count": 1, "share": False}), "got `bool` - at `$.inner.share`"),
        (nested(inner={"count": 1, "share": 10**400}), "Expected an integer of at most 300 digits, got 401"),
        (nested(inner={"count": 1, "share": float("nan")}), "Expected a finite number, got `NaN`"),
        (nested(inner={"count": 1, "share": -float("inf")}), "Expected a finite number, got `-Infinity`"),
        (nested(inner={"count": 1, "share": 0}).replace("0", "1e999"), "Expected a finite number, got `1e999`"),
        (nested(points=[[1, 2], [3, 4, 5]]), " - at `$.points[1]`"),
        (nested(points="ab"), "Expected `array`, got `str` - at `$.points`"),
        (nested(more={"b": 5}), "Expected `object`, got `int` - at `$.more[...]`"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_another_form_is_refused_with_its_place(text, because):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is checked below
        decode(text, Outer)
    assert because in str(error.value)


def test_fields_of_newer_versions_are_ignored_or_refused():
    text = nested(more={"b": {"count": 1, "new": 1}})
    assert decode(text, Outer).more == {"b": Inner(1)}
    with pytest.raises(ValueError, match=r"^Object contains unknown field `new` - at `\$\.more\.b`$"):
        decode(text, Outer, exact=True)
    with pytest.raises(ValueError, match=r"unknown field `new` - at `\$\[1\]`"):
        decode('[{"count": 1}, {"count": 1, "new": 1}]', list[Inner], exact=True)
    assert decode('[{"count": 1}]', list[Inner], exact=True) == [Inner(1)]  # a field with a default may be missing


def test_of_a_key_that_is_there_twice_the_last_one_counts():
    assert decode('{"count": 1, "count": 2}', Inner, exact=True) == Inner(2)


def test_numbers_are_not_cut():
    assert decode(encode(Inner(10**30)), Inner) == Inner(10**30)
    assert decode('{"count": 1, "share": 2}', Inner) == Inner(1, 2.0)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_not_written(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(Inner(1, number))


def test_what_json_lacks_is_not_written():
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        encode({"a": object()})


def test_values_that_ansible_has_marked_are_written_as_plain_ones():
    class MarkedStr(str):
        __slots__ = ()

    class MarkedInt(int):
        pass

    fields = {MarkedStr("a"): MarkedStr("b"), "c": MarkedInt(1)}
    assert encode(fields) == '{"a": "b", "c": 1}'


@pytest.mark.parametrize(
    ("source", "because"),
    [
        ({"kind": "Import", "archive": "/x"}, "missing required field `checksum` - at `$.source`"),
        ({"kind": "Pull", "reference": 1}, "Expected `str`, got `int` - at `$.source.reference`"),
        ({"kind": "Copy", "reference": "a"}, "Invalid value 'Copy' - at `$.source.kind`"),
        ({"reference": "a"}, "missing required field `kind` - at `$.source`"),
        ("Pull", "got `str` - at `$.source`"),
    ],
)
def test_a_source_is_read_by_its_kind(source, because):
    fields = {"name": "base", "team": "ops", "image": "base", "tag": "latest"}
    read = decode(json.dumps(fields | {"source": {"kind": "Pull", "reference": "a@sha256:1"}}), Tier)
    assert read.source == Pull("a@sha256:1")
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is checked below
        decode(json.dumps(fields | {"source": source}), Tier)
    assert because in str(error.value)
