"""Facts for a report about a made-up chain."""

from __future__ import annotations

import pytest

import made_chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.gathering import Asking, gather
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import open_place

MADE = "2026-11-24T12:00:00Z"


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def facts(tmp_path):
    """Gather the facts for a report about tiers, by default those of `made_chain`."""

    def gather_facts(tiers=None, chain=made_chain.NAME, wanted=None, *, absent=True, releases=1, **asking):
        place = made_chain.write_layout(tmp_path / "layout", tiers or made_chain.TIERS, chain, releases)
        store = Store(tmp_path / "store")
        opened = open_place("oci", place.removeprefix("oci:"), store)
        return gather(opened, store, wanted, MADE, absent=absent, asking=Asking(**asking))

    return gather_facts
