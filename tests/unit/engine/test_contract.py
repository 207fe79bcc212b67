"""The fake engine answers as every real one does; `tests/engines/test_contract.py` asks those."""

from __future__ import annotations

import pytest

from engine_contract import *  # noqa: F403 - all of its questions
from fake_engine import FakeEngine


@pytest.fixture
def engine():
    return FakeEngine()
