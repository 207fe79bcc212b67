"""The contract of engines with the fake engine; `tests/engines/test_contract.py` tests real engines."""

from __future__ import annotations

import pytest

from engine_contract import *  # noqa: F403 - all its tests
from fake_engine import FakeEngine


@pytest.fixture
def engine():
    return FakeEngine()
