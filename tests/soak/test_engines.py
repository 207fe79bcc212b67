"""The demo chain from nothing on every engine that is supported and can be had here."""

from __future__ import annotations

import pytest

from engines.catalogue import CHOICES
from other_engines import LAYERS, answers_here, assert_equal, build_and_ask


@pytest.fixture(scope="module")
def reference(demo):
    """What this machine's own engine answers."""
    assert demo.keys() == LAYERS.keys()
    return answers_here()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CHOICES)
def test_the_demo_chain_is_the_same_and_is_told_the_same(name, reference, tmp_path):
    assert_equal(build_and_ask(name, tmp_path), reference)
