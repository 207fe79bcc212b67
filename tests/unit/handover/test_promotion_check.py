"""Images are checked before their release tags move, with their layers if the policy is about these."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.policy_check import PolicyCheck
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.image_check import ImageChecker
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.promotion_check import PromotionCheck
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy import read_policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import open_place
from signed_chain import TIERS, SignedChain

pytestmark = pytest.mark.once


@pytest.fixture
def promote(monkeypatch, tmp_path):
    """A function that checks all images of a chain with a policy. It says whether their layers were read."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    chain = SignedChain()
    place = open_place("oci", chain.write(tmp_path / "layout").removeprefix("oci:"), Store())

    def check_images(tiers={}, **more):  # noqa: B006 - never changed
        policy = read_policy(json.dumps(chain.policy(tiers, **more)).encode(), "the policy")
        check = PolicyCheck(policy, datetime.now(UTC))
        checker = ImageChecker(pytest.fail, pytest.fail, check.image, check.release, check.read_layers)
        PromotionCheck(checker, place)([chain[tier].identity for tier in TIERS])
        return check.read_layers is not None

    return check_images


def test_layers_are_read_only_if_the_policy_is_about_them(promote):
    assert not promote()
    assert promote({"shop": {"writes": ["/etc/**"]}})


@pytest.mark.parametrize(
    ("policy", "tier", "reason"),
    [
        ({"tiers": {"shop": {"writes": ["/usr/**"]}}}, "shop", "its layer writes /etc/shop; allowed are /usr/**"),
        ({"outdated": {"*": 30}}, "base", "which security updates are missing: its image has no package database"),
    ],
)
def test_no_tag_moves_if_the_policy_refuses_the_content_of_a_layer(promote, policy, tier, reason):
    with pytest.raises(TrustError) as refused:
        promote(**policy)
    assert str(refused.value).startswith(f"tier '{tier}' is not promoted, and no tag moved: ")
    assert reason in str(refused.value)
