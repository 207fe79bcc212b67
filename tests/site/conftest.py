"""Fixtures of the integration tests, for tests of sites. These run on their own machine (tests/site_machine.py)."""

from __future__ import annotations

import os

import pytest

from integration.conftest import engine, environment, playbook
from site_machine import VARIABLE

__all__ = ["engine", "environment", "playbook"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip these tests on all other machines."""
    for item in items if VARIABLE not in os.environ else ():
        item.add_marker(pytest.mark.skip(reason="needs its own machine; tests/soak and tests/integration start it"))
