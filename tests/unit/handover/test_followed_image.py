"""Followed images are looked up in their registry, and what does not fit is rejected."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    ChainError,
    DamagedError,
    EngineError,
    NotFoundError,
    SourceError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover import followed_image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.attachments import (
    PublishedParent,
    PublishedPlace,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.followed_image import (
    look_up,
    look_up_locked,
    read_locked,
    take_followed,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.image_check import (
    UNVERIFIED,
    ImageChecker,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.lock_file import (
    LockedAncestor,
    LockedTier,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.tests_archive import PackedFile
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from published_images import identity, publish, publish_attachment, tier_layer

BASE, CORE = tier_layer(1), tier_layer(2)
TESTS = {"test_contract.py": PackedFile(b"def test(): pass\n")}


@pytest.fixture
def connect():
    return Registries().reader


def follower(registry, name="corebuild", tag="stable"):
    image = f"{registry.host}/ops/corebuild"
    return Tier(name=name, team="operations", image=image, tag=tag, source=Follow(image, tag))


def attach_all(registry, manifest, base):
    parent = PublishedParent(f"{registry.host}/ops/base", base)
    return (
        publish_attachment(registry, "ops/base", base, PublishedPlace("base", "operations", "ops", None, ()), None),
        publish_attachment(
            registry, "ops/corebuild", manifest, PublishedPlace("corebuild", "operations", "ops", parent, ()), TESTS
        ),
    )


def test_the_newest_image_is_found_with_its_owner(registry, connect):
    manifest, config = publish(registry, "ops/corebuild", "stable", [BASE, CORE])
    tier = follower(registry)
    assert look_up(connect, tier).locked == LockedTier(
        image=tier.image,
        tag="stable",
        digest=manifest,
        config=config,
        tier="corebuild",
        team="operations",
        chain="ops",
    )


def test_attachments_of_the_image_and_its_ancestors_are_locked(registry, connect):
    base, _config = publish(registry, "ops/base", "stable", [BASE], owners=["base"])
    manifest, _config = publish(registry, "ops/corebuild", "stable", [BASE, CORE])
    of_base, own = attach_all(registry, manifest, base)
    found = look_up(connect, follower(registry))
    assert found.locked.attachment == own
    assert found.locked.ancestors == (LockedAncestor("base", "operations", f"{registry.host}/ops/base", base, of_base),)
    assert list(found.attachments) == ["corebuild", "base"]
    locked = look_up_locked(connect, follower(registry), found.locked)
    assert locked.attachments == found.attachments


def test_a_locked_image_that_is_gone_is_not_an_error(registry, connect):
    publish(registry, "ops/corebuild", "stable", [BASE, CORE])
    found = look_up(connect, follower(registry))
    registry.manifests.clear()
    assert look_up_locked(connect, follower(registry), found.locked) is None


def test_a_missing_tag_is_an_error_that_names_registry_and_tag(registry, connect):
    with pytest.raises(NotFoundError) as caught:
        look_up(connect, follower(registry))
    assert str(caught.value).startswith(f"tier 'corebuild' follows {registry.host}/ops/corebuild:stable: registry")
    assert "has no ops/corebuild:stable" in str(caught.value)


def test_an_error_of_the_registry_names_the_tier(registry, connect):
    registry.fault = lambda _method, _path: 403
    with pytest.raises(EngineError, match=r"tier 'corebuild' follows .*: registry .*403"):
        look_up(connect, follower(registry))


@pytest.mark.parametrize(
    "options",
    [
        {"image_labels": {}},
        {"image_labels": identity("corebuild"), "owners": ["corebuild", "child of a user"]},
        {"image_labels": identity("corebuild", team="a\nb")},
        {"image_labels": identity("corebuild", chain="")},
        {"image_labels": {**identity("corebuild"), labels.KEY: "../latest"}},
    ],
    ids=["no labels", "inherited labels", "team of two lines", "no chain", "no key"],
)
def test_an_image_of_something_else_is_an_error_that_names_tier_pull(registry, connect, options):
    manifest, _config = publish(registry, "ops/corebuild", "stable", [BASE, CORE], **options)
    with pytest.raises(ChainError, match=r"not published by Tierwright.*set tier_pull: ") as caught:
        look_up(connect, follower(registry))
    assert f"{registry.host}/ops/corebuild@{manifest}" in str(caught.value)


def test_a_tier_of_a_different_name_is_an_error_that_says_which_name_to_use(registry, connect):
    publish(registry, "ops/corebuild", "stable", [BASE, CORE])
    with pytest.raises(ChainError, match="rename the host 'core' of the inventory to 'corebuild'"):
        look_up(connect, follower(registry, "core"))


def test_an_attachment_of_a_different_owner_is_rejected(registry, connect):
    manifest, _config = publish(registry, "ops/corebuild", "stable", [BASE, CORE])
    publish_attachment(registry, "ops/corebuild", manifest, PublishedPlace("corebuild", "evil", "ops", None, ()), None)
    with pytest.raises(DamagedError, match=r"its attachment .* is of tier 'corebuild', team 'evil'"):
        look_up(connect, follower(registry))


def test_the_locked_image_is_read_by_its_digest(registry, connect):
    publish(registry, "ops/corebuild", "stable", [BASE, CORE])
    locked = look_up(connect, follower(registry)).locked
    publish(registry, "ops/corebuild", "stable", [BASE, tier_layer(3)])
    assert read_locked(connect, follower(registry), locked).document.id == locked.config


def test_a_lock_whose_digests_do_not_belong_together_is_rejected(registry, connect):
    publish(registry, "ops/corebuild", "stable", [BASE, CORE])
    locked = look_up(connect, follower(registry)).locked
    publish(registry, "ops/corebuild", "stable", [BASE, tier_layer(3)])
    other = look_up(connect, follower(registry)).locked
    mixed = LockedTier(locked.image, "stable", locked.digest, other.config, "corebuild", "operations", "ops")
    with pytest.raises(DamagedError, match="the lock file expects"):
        read_locked(connect, follower(registry), mixed)


def test_a_locked_image_that_the_registry_removed_is_an_error(registry, connect):
    publish(registry, "ops/corebuild", "stable", [BASE, CORE])
    locked = look_up(connect, follower(registry)).locked
    registry.manifests.clear()
    with pytest.raises(SourceError, match="does not have this image any more; run `tierwright update corebuild`"):
        read_locked(connect, follower(registry), locked)


def decisions(make_tier, follower, action, *, child=Action.BUILD, image="sha256:locked"):
    neighbour = make_tier("other", "corebuild")
    return [
        Decision(follower, action, (), image, {}),
        Decision(neighbour, child, (), None if child is Action.BUILD else "sha256:other", {}),
    ]


@pytest.mark.parametrize(
    ("action", "child", "taken"),
    [
        (Action.KEEP, Action.KEEP, ["corebuild"]),
        (Action.LEAVE, Action.BUILD, ["corebuild"]),
        (Action.LEAVE, Action.KEEP, []),
    ],
)
def test_only_images_that_the_run_needs_are_downloaded(
    registry, connect, make_tier, make_image, monkeypatch, action, child, taken
):
    _manifest, config = publish(registry, "ops/corebuild", "stable", [BASE, CORE])
    tier = follower(registry)
    locked = look_up(connect, tier).locked
    image = make_image(config, identity("corebuild"))
    monkeypatch.setattr(followed_image, "download", lambda _engine, images, _say: [image for _each in images])
    monkeypatch.setattr(followed_image.platform, "check", lambda *_arguments: None)
    engine = Engine()
    plan = decisions(make_tier, tier, action, child=child, image=config)
    lines = []
    checker = ImageChecker(connect, lines.append)
    assert take_followed(engine, plan, {"corebuild": locked}, connect, print, checker) == taken
    assert lines == ([UNVERIFIED] if taken else [])
    assert engine.tagged == [(config, tier.image, f"key-{image.labels[labels.KEY][:16]}") for _each in taken]


class Engine:
    """An engine without images, which remembers the tags that it got."""

    def __init__(self):
        self.images = self
        self.tagged = []

    def find(self, _reference):
        return None

    def tag(self, *arguments):
        self.tagged.append(arguments)
