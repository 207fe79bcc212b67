"""Which tests an image must pass, and which changes make them different tests."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.role_tests import (
    RoleTests,
    Suite,
    find_tests,
    passed_tag,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.records import decode, encode


@pytest.fixture
def role(tmp_path):
    """Make a role with tests: `role("web", conftest="...")`."""

    def role(name, **files):
        folder = tmp_path / name / "tests"
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in {"test_it": "def test_it(): pass\n", **files}.items():
            (folder / f"{file}.py").write_text(text)
        return folder.parent

    return role


@pytest.fixture
def suite(role):
    def suite(**files):
        own, below = (str(find_tests(role(name, **files))) for name in ("web", "core"))
        return Suite(RoleTests("web", "development", own), (RoleTests("core", "operations", below),))

    return suite


def test_a_role_without_files_for_pytest_has_no_tests(tmp_path, role):
    assert find_tests(tmp_path) is None
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test.yml").write_text("- hosts: all\n")  # as ansible-galaxy used to create it
    assert find_tests(tmp_path) is None
    assert find_tests(role("web")) == tmp_path / "web/tests"


def test_every_file_of_the_tests_counts(suite):
    before = suite().digest()
    assert suite().digest() == before
    assert suite(conftest="x = 1").digest() != before


def test_the_cache_of_python_does_not_count(suite, tmp_path):
    before = suite().digest()
    (tmp_path / "web/tests/__pycache__").mkdir()
    (tmp_path / "web/tests/__pycache__/test_it.pyc").write_bytes(b"x")
    assert suite().digest() == before


def test_the_tests_of_ancestors_count(suite):
    own, below = suite().all
    assert Suite(own).digest() != Suite(own, (below,)).digest()
    assert Suite(None, (own,)).digest() == Suite(own).digest()  # the same files of the same tier


def test_a_suite_can_be_written_and_read(suite):
    for example in (suite(), Suite()):
        assert decode(encode(example), Suite) == example
    assert suite()
    assert not Suite()


def test_the_tag_depends_on_image_tests_and_neighbours():
    tag = passed_tag("sha256:1", "2", {"a": "3", "b": None})
    assert tags.is_tested(tag)
    assert tags.is_reserved(tag)
    assert tag == passed_tag("sha256:1", "2", {"b": None, "a": "3"})
    others = [
        passed_tag("sha256:other", "2", {"a": "3", "b": None}),
        passed_tag("sha256:1", "other", {"a": "3", "b": None}),
        passed_tag("sha256:1", "2", {"a": "other", "b": None}),
        passed_tag("sha256:1", "2", {"a": "3"}),
    ]
    assert len({tag, *others}) == 5
    assert [tags.same_tests(tag, other) for other in others] == [False, False, True, True]
