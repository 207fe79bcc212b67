"""A fake registry, and a user without credentials and without a cache."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client
from fake_registry import fake_registry


@pytest.fixture(autouse=True)
def folders(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())


@pytest.fixture
def registry():
    with fake_registry() as registry:
        yield registry
