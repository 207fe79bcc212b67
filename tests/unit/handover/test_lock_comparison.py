"""What is newer in a followed image is shown by tier and team."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.attachments import PublishedPlace
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.followed_image import look_up
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.lock_comparison import describe_update
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.lock_update import (
    LockUpdate,
    update_lines,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.tests_archive import PackedFile
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from published_images import identity, protecting, publish, publish_attachment, tier_layer

BASE = tier_layer(1)


class World:
    """A tier that follows an image, and its publisher."""

    def __init__(self, registry):
        self.registry, self.connect = registry, Registries().reader
        image = f"{registry.host}/ops/corebuild"
        self.tier = Tier(name="corebuild", team="ops team", image=image, tag="stable", source=Follow(image, "stable"))

    def publish(self, version, *entries, labels=None, tests=None, **settings):
        layers = [BASE, tier_layer(version, *entries)]
        own = identity("corebuild", **(labels or {}))
        manifest, _config = publish(self.registry, "ops/corebuild", "stable", layers, image_labels=own, **settings)
        if tests is not None:
            place = PublishedPlace("corebuild", "operations", "ops", None, ())
            publish_attachment(self.registry, "ops/corebuild", manifest, place, tests)
        return look_up(self.connect, self.tier)

    def update(self, before, now):
        return describe_update(self.connect, self.tier, before and before.locked, now, Store())


@pytest.fixture
def world(registry):
    return World(registry)


def lines(update):
    return list(update_lines(LockUpdate([update], [], verified=True)))


def test_nothing_is_newer(world):
    now = world.publish(2)
    update = world.update(now, now)
    assert (update.newer, update.changes) == (False, [])
    start = f"corebuild, team ops team: {world.tier.image}:stable"
    assert lines(update) == [f"{start} is still {now.locked.digest[7:19]}"]


def test_the_first_image_is_not_compared(world):
    now = world.publish(2)
    update = world.update(None, now)
    assert (update.newer, update.locked, update.newest) == (True, None, now.locked.digest)
    assert [(tier.tier, tier.team) for tier in update.upstream] == [("base", "operations"), ("corebuild", "operations")]
    assert lines(update)[0].endswith("not locked yet")


def test_packages_files_and_settings_are_shown_by_tier(world):
    before = world.publish(2, ("etc/motd", b"old"), Env=["A=1"], User="root")
    now = world.publish(3, ("etc/motd", b"new"), Env=["A=2"], User="www")
    assert lines(world.update(before, now))[1:] == [
        "  corebuild (team operations):",
        "    package ~ ssl 2 -> 3",
        "    2 files changed",
        "  config ~ User = root -> www",
        "  environment ~ A = 1 -> 2",
    ]


def test_a_label_of_the_user_is_shown(world):
    before = world.publish(2, labels={"org.example.kind": "a"})
    now = world.publish(2, labels={"org.example.kind": "b"})
    assert lines(world.update(before, now))[1:] == ["  label ~ org.example.kind = a -> b"]


def test_contracts_and_protected_paths_are_shown(world):
    tests = {"test_a.py": PackedFile(b"1"), "test_b.py": PackedFile(b"1")}
    before = world.publish(2, labels=protecting("corebuild", "etc/ssl"), tests=tests)
    tests = {"test_b.py": PackedFile(b"2"), "test_c.py": PackedFile(b"1")}
    now = world.publish(2, labels=protecting("corebuild", "etc/motd"), tests=tests)
    assert lines(world.update(before, now))[1:] == [
        "  corebuild (team operations):",
        "    contract - test_a.py",
        "    contract ~ test_b.py",
        "    contract + test_c.py",
        "    protects + /etc/motd",
        "    protects - /etc/ssl",
    ]


def test_a_new_attachment_of_the_same_image_is_newer(world):
    before = world.publish(2)
    now = world.publish(2, tests={"test_a.py": PackedFile(b"1")})
    update = world.update(before, now)
    assert (update.newer, update.locked) == (True, update.newest)
    assert lines(update)[1:] == ["  corebuild (team operations):", "    contract + test_a.py"]


def test_an_image_without_an_attachment_brings_no_contracts_and_that_is_said(world):
    (said,) = lines(world.update(None, world.publish(2)))[1:]
    assert "published without an attachment, so no contracts of its tiers are tested here" in said
    attached = world.publish(3, tests={"test_a.py": PackedFile(b"1")})
    assert lines(world.update(None, attached))[1:] == []


def test_an_image_that_is_gone_is_not_compared(world):
    before = world.publish(2)
    world.registry.manifests.clear()
    update = world.update(before, world.publish(3))
    assert update.newer
    assert "is not in the registry any more" in lines(update)[-1]


def test_a_layer_that_is_gone_is_not_compared(world):
    before = world.publish(2)
    for key in [key for key in world.registry.blobs if key[1] == before.published.document.layers[1]]:
        del world.registry.blobs[key]
    update = world.update(before, world.publish(3))
    assert "cannot be compared" in lines(update)[-1]
    assert update.newer
