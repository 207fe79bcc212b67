"""The engine that DOCKER_HOST names, else the local one, answers as the fake one of the unit tests does."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from engine_contract import *  # noqa: F403 - all of its questions


@pytest.fixture(scope="module")
def engine():
    made = connect()
    yield made
    made.close()
