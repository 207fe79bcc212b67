"""Nothing of these tests is stored in the state of the user."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def state(tmp_path_factory, monkeypatch):
    """Use a folder of this test for the state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
