"""A sample has one case of each test, and the samples of several commits have all cases."""

from __future__ import annotations

from sampled import choose

CASES = dict.fromkeys(
    (f"test_faults.py::{test}[{case}]" for test in ("test_a", "test_b") for case in ("one", "two", "three")), ()
)
GROUP = {"test_one.py::test_a": ("sites",), "test_one.py::test_b": ("sites",), "test_two.py::test_c[x]": ("sites",)}
PARTS = {"test_one.py::test_a[old]": ("sites", "old"), "test_one.py::test_a[new]": ("sites", "new")}


def test_a_sample_has_one_case_of_each_test():
    assert sorted(name.partition("[")[0] for name in choose(CASES, "eba1732")) == [
        "test_faults.py::test_a",
        "test_faults.py::test_b",
    ]


def test_a_seed_always_chooses_the_same():
    assert choose(CASES, "eba1732") == choose(dict(reversed(CASES.items())), "eba1732")


def test_several_seeds_choose_all_cases():
    assert set().union(*(choose(CASES, f"commit {number}") for number in range(30))) == CASES.keys()


def test_of_a_group_all_tests_of_one_file_are_chosen():
    chosen = {frozenset(choose(GROUP, f"commit {number}")) for number in range(30)}
    assert chosen == {frozenset({"test_one.py::test_a", "test_one.py::test_b"}), frozenset({"test_two.py::test_c[x]"})}


def test_a_part_of_a_file_can_be_chosen_alone():
    assert {frozenset(choose(PARTS, f"commit {number}")) for number in range(30)} == {
        frozenset({name}) for name in PARTS
    }
