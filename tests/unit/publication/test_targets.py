"""Which tiers a chain publishes, and under which tags."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.publish import (
    cache_tags,
    choose_targets,
    release_tags,
)


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


def test_for_the_cache_alone_no_tag_of_a_release_moves(make_tier, make_image):
    tier = make_tier("web", "core", image="r.example.org/dev/web")
    image = make_image("sha256:1", labels.identity("shop", tier, {"parent": "sha256:0"}, None))
    content, tested, release = "key-0123456789abcdef", "tested-0123456789ab-0123456789ab", "release-20260101T000000Z"
    names = {tier.image: dict.fromkeys(("latest", "previous", content, tested, release), image.id)}
    chosen = cache_tags(names)(tier, image)
    assert set(release_tags(names, cache=True)(tier, image)) - set(chosen) == {"latest", release}
    assert {content, tested} < set(chosen)
    assert [tag for tag in chosen if tag.startswith("sources-")] == [chosen[-1]]
    with pytest.raises(RunError, match="has no build key in its labels"):
        cache_tags(names)(tier, make_image("sha256:2", {}))
