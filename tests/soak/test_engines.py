"""The demo chain, built from nothing on every supported engine that is available."""

from __future__ import annotations

import pytest

from engines.catalogue import CHOICES
from other_engines import LAYERS, assert_same_answers, build_and_query, local_answers


@pytest.fixture(scope="module")
def reference(demo):
    """The answers of this machine's own engine."""
    assert demo.keys() == LAYERS.keys()
    return local_answers()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CHOICES)
def test_the_demo_chain_and_the_answers_about_it_are_the_same(name, reference, tmp_path):
    assert_same_answers(build_and_query(name, tmp_path), reference)
