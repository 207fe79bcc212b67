"""Which tiers a chain publishes."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publish import choose_targets


def test_a_followed_tier_is_never_published(make_tier):
    name = "r.example.org/ops/core"
    core = Tier("core", "operations", name, "stable", source=Follow(name, "stable"))
    chain = Chain([core, make_tier("web", "core", image="r.example.org/dev/web"), make_tier("local", "core")])
    lines: list[str] = []
    assert [tier.name for tier in choose_targets(chain, ["core", "web", "local"], lines.append)] == ["web"]
    assert lines == [
        "not published, because tier_image names no registry: local",
        "not published, because other teams publish them: core",
    ]
    with pytest.raises(RunError, match="no selected tier names a registry"):
        choose_targets(chain, ["core"], lines.append)
