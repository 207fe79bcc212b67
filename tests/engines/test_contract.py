"""The engine in DOCKER_HOST, or else the local one, answers like the fake engine of the unit tests."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from engine_contract import *  # noqa: F403 - imports all tests of the contract


@pytest.fixture(scope="module")
def engine():
    connection = connect()
    yield connection
    connection.close()
