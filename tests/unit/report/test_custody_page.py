"""The page about custody, and the section of each tier."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.custody_reader import (
    CustodyReader,
    NamedPolicy,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy import read_policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.gathering import Asking, gather
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.pages import Pages
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import open_place
from signed_chain import CHAIN, TIERS, SignedChain

from .conftest import MADE

pytestmark = pytest.mark.once


@pytest.fixture
def chain():
    return SignedChain()


def render(chain, tmp_path, *, policy=True):
    place, store = chain.write(tmp_path / "layout"), Store(tmp_path / "store")
    named = NamedPolicy("chain-policy.yml", read_policy(yaml.safe_dump(chain.policy()).encode(), "policy"))
    reader = CustodyReader(named, [chain], datetime(2026, 11, 30, tzinfo=UTC)) if policy else None
    opened = open_place("oci", place.removeprefix("oci:"), store)
    return dict(Pages(gather(opened, store, CHAIN, MADE, asking=Asking(custody=reader))).render())


def test_each_tier_is_verified_and_says_who_signed(chain, tmp_path):
    pages = render(chain, tmp_path)
    assert "links hold. Policy <code>chain-policy.yml</code>, version 1." in pages["custody.html"]
    assert pages["custody.html"].count(" verified</span>") == len(TIERS)
    assert "mia of team &#39;middleware&#39;" in pages["tiers/httpd-php.html"]
    assert "<code>https://git.example.org/middleware/roles.git</code>" in pages["tiers/httpd-php.html"]
    assert "tiers verified" in pages["index.html"]


def test_a_failed_link_is_on_the_first_page_and_named(chain, tmp_path):
    chain["httpd-php"].bundles = []
    chain.sign("httpd-php", "dan")
    pages = render(chain, tmp_path)
    assert "not verified" in pages["index.html"]
    assert "<b>httpd-php</b>, signature: " in pages["custody.html"]
    assert "signature" in pages["tiers/httpd-php.html"].split('id="custody"')[1]


def test_without_a_policy_the_page_says_how_to_verify(chain, tmp_path):
    pages = render(chain, tmp_path, policy=False)
    assert "Nothing was verified" in pages["custody.html"]
    assert 'id="custody"' not in pages["tiers/shop.html"]
