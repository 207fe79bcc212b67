"""Fixtures of the tests of sites: a user without state, and a registry with two releases."""

from __future__ import annotations

import pytest

from fake_registry import fake_registry
from web_releases import publish_releases


@pytest.fixture(scope="session")
def shared_registry():
    with fake_registry() as registry:
        yield registry


@pytest.fixture(autouse=True)
def user_without_state(monkeypatch, tmp_path):
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


@pytest.fixture
def registry(shared_registry):
    """A registry with two releases of an image."""
    shared_registry.tags.clear()
    shared_registry.requests.clear()
    shared_registry.fault = lambda _method, _path: None
    publish_releases(shared_registry)
    return shared_registry
