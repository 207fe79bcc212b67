"""The decision for tiers that follow an image of another team."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import content_tag, digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import (
    Action,
    decide,
    decide_tests_only,
)

IMAGE = "registry.example.org/operations/corebuild"
OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


class World:
    """A chain with one followed tier and its child, and the images of an engine in memory."""

    def __init__(self, make_tier, make_image, make_snapshot):
        followed = Tier("corebuild", "operations", IMAGE, "stable", source=Follow(IMAGE, "stable"))
        self.chain = Chain([followed, make_tier("web", "corebuild")])
        self.make_image, self.make_snapshot, self.images, self.locked = make_image, make_snapshot, {}, OLD

    def has(self, image, *names, tier="corebuild", parts=None):
        own = labels.identity("ops", self.chain[tier], parts or {}, None)
        for name in names:
            self.images[name] = self.make_image(image, own)

    def has_child(self, parent):
        parts = {"role": "1", "parent": parent}
        self.has("sha256:web", "web:latest", f"web:{content_tag(digest_key(parts))}", tier="web", parts=parts)

    def decide(self, selected=("corebuild", "web")):
        parts = {"corebuild": {"locked": self.locked}, "web": {"role": "1"}}
        return decide(self.chain, parts, self.make_snapshot(self.images), selected=selected, forced=())


@pytest.fixture
def world(make_tier, make_image, make_snapshot):
    return World(make_tier, make_image, make_snapshot)


def test_a_locked_image_is_kept_even_if_the_engine_does_not_have_it(world):
    decisions = world.decide()
    followed = decisions["corebuild"]
    assert (followed.action, followed.image, followed.released, followed.was) == (Action.KEEP, OLD, False, None)
    assert followed.reasons == (f"follows {IMAGE}:stable, locked image 111111111111",)
    assert decisions["web"].parts["parent"] == OLD
    assert decisions["web"].action is Action.BUILD


def test_a_released_locked_image_needs_no_move(world):
    world.has(OLD, f"{IMAGE}:stable")
    world.has_child(OLD)
    decisions = world.decide()
    assert decisions["corebuild"].released
    assert (decisions["web"].action, decisions["web"].released) == (Action.KEEP, True)


def test_a_tag_that_moved_on_the_engine_changes_nothing_else(world):
    world.has(NEW, f"{IMAGE}:stable")
    world.has_child(OLD)
    decisions = world.decide()
    assert (decisions["corebuild"].image, decisions["corebuild"].was) == (OLD, NEW)
    assert not decisions["corebuild"].released
    assert decisions["web"].action is Action.KEEP


def test_a_newer_lock_makes_the_children_stale(world):
    world.has(OLD, f"{IMAGE}:stable")
    world.has_child(OLD)
    world.locked = NEW
    decisions = world.decide()
    assert (decisions["corebuild"].action, decisions["corebuild"].image) == (Action.KEEP, NEW)
    assert "locked image is now" in decisions["corebuild"].reasons[0]
    assert decisions["web"].action is Action.BUILD
    assert decisions["web"].reasons == ("parent corebuild is a different image",)


def test_the_lock_counts_even_if_limit_excludes_the_tier(world):
    world.has(OLD, f"{IMAGE}:stable")
    world.locked = NEW
    decisions = world.decide(selected=["web"])
    assert (decisions["corebuild"].action, decisions["corebuild"].image) == (Action.LEAVE, NEW)
    assert decisions["web"].parts["parent"] == NEW


def test_a_withdrawn_image_does_not_come_back(world):
    world.has(OLD, f"{IMAGE}:stable")
    world.has(NEW, f"{IMAGE}:withdrawn-20261124T093000Z")
    world.locked = NEW
    followed = world.decide()["corebuild"]
    assert (followed.action, followed.image, followed.released) == (Action.KEEP, OLD, True)
    assert "was withdrawn by a rollback on 2026-11-24" in followed.reasons[0]


def test_an_image_of_another_tier_under_the_name_does_not_count(world):
    world.has(OLD, f"{IMAGE}:stable", tier="web")
    assert not world.decide()["corebuild"].released


def test_tests_only_leave_a_followed_tier_alone(world):
    decisions = decide_tests_only(
        world.chain,
        world.make_snapshot({}),
        selected=["corebuild", "web"],
        tests=["web"],
        locked={"corebuild": OLD},
    )
    assert (decisions["corebuild"].action, decisions["corebuild"].image) == (Action.LEAVE, OLD)


def test_an_image_that_is_tried_replaces_the_locked_one_even_if_it_was_withdrawn_before(world):
    world.has(OLD, f"{IMAGE}:stable")
    world.has(NEW, f"{IMAGE}:withdrawn-20260102T000000Z")
    parts = {"corebuild": {"locked": OLD, "tried": NEW}, "web": {"role": "1"}}
    images = world.make_snapshot(world.images)
    for selected in (("corebuild", "web"), ("web",)):
        decisions = decide(world.chain, parts, images, selected=selected, forced=())
        assert decisions["corebuild"].image == decisions["web"].parts["parent"] == NEW
    decisions = decide(world.chain, parts, images, selected=("corebuild",), forced=())
    assert decisions["corebuild"].reasons == (f"tries 222222222222, the candidate of {IMAGE}; locked is 111111111111",)
