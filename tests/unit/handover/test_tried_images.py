"""Candidates of other teams are found if they differ from the locked images, even if their tags move meanwhile."""

from __future__ import annotations

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.followed_image import look_up
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.lock_file import LockedAncestor
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.tried_images import find_candidates
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.tried_record import (
    is_trial,
    note_tried,
    read_tried,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from fake_registry import digest
from published_images import identity, publish, tier_layer

BASE = tier_layer(1)


@pytest.fixture
def tier(registry):
    image = f"{registry.host}/ops/corebuild"
    publish(registry, "ops/corebuild", "stable", [BASE, tier_layer(2)])
    return Tier("corebuild", "operations", "here/corebuild", "stable", source=Follow(image, "stable"))


@pytest.fixture
def locked(tier):
    return {"corebuild": look_up(Registries().reader, tier).locked}


def find(tier, locked):
    return find_candidates(Registries().reader, [tier], locked)


def test_there_is_no_candidate_at_first(tier, locked):
    assert find(tier, locked) == {}


def test_a_candidate_that_is_the_locked_image_is_not_tried(registry, tier, locked):
    registry.tags["ops/corebuild", "candidate"] = locked["corebuild"].digest
    assert find(tier, locked) == {}


def test_a_different_candidate_is_tried_by_its_digest(registry, tier, locked):
    manifest, config = publish(registry, "ops/corebuild", "candidate", [BASE, tier_layer(3)])
    found = find(tier, locked)["corebuild"]
    assert (found.digest, found.config, found.tag) == (manifest, config, "candidate")
    assert found.image == f"{registry.host}/ops/corebuild"


def test_a_tag_that_moves_to_the_locked_image_meanwhile_is_not_tried(registry, tier, locked):
    publish(registry, "ops/corebuild", "candidate", [BASE, tier_layer(3)])
    asked = []

    def move(_method, path):
        if path.endswith("/manifests/candidate"):
            asked.append(path)
            if len(asked) == 2:
                registry.tags["ops/corebuild", "candidate"] = locked["corebuild"].digest

    registry.fault = move
    assert find(tier, locked) == {}
    assert len(asked) == 2


def test_a_candidate_of_a_different_tier_is_rejected(registry, tier, locked):
    layers, own = [BASE, tier_layer(3)], identity("evil")
    publish(registry, "ops/corebuild", "candidate", layers, image_labels=own, owners=["evil"])
    with pytest.raises(ChainError, match=r"follows .*:candidate, which was published as tier 'evil'"):
        find(tier, locked)


def test_a_registry_that_rejects_is_an_error(registry, tier, locked):
    registry.fault = lambda _method, _path: 403
    with pytest.raises(EngineError, match="403"):
        find(tier, locked)


def test_new_ancestors_are_recorded_with_the_candidate(locked):
    (old,) = locked.values()
    base, root = (
        LockedAncestor(name, "operations", f"r.example.org/ops/{name}", digest(name.encode()), digest(b"a"))
        for name in ("base", "root")
    )
    journal = Journal.begin("demo")
    assert not is_trial(journal)
    note_tried(journal, {}, locked)
    assert not is_trial(journal)
    before = msgspec.structs.replace(old, ancestors=(root,))
    now = msgspec.structs.replace(old, digest=digest(b"new"), ancestors=(base, root))
    note_tried(journal, {"corebuild": now}, {"corebuild": before})
    assert is_trial(journal)
    [(name, tried)] = read_tried(journal)
    assert name == "corebuild"
    assert [(image.tier, image.digest) for image in tried.images] == [("corebuild", now.digest), ("base", base.digest)]
