"""Tiers that follow an image of another team, planned with Ansible's real inventory."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, DamagedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.lock_file import LockedTier, write_lock
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import Followed
from fake_registry import digest, fake_registry
from published_images import publish, tier_layer

from .world import World

CHAIN = """
all:
  vars: {tier_chain: shop, registry: r.example.org}
tiers:
  children:
    operations:
      hosts:
        core: {tier_follow: {image: "{{ registry }}/ops/core", tag: stable}}
    development:
      hosts:
        app: {tier_parent: core}
"""
MANIFEST, OLD, NEW = (f"sha256:{digit * 64}" for digit in "123")


@pytest.fixture
def world(tmp_path):
    folder = tmp_path / "project"
    for path, text in {
        "inventories/shop/chain.yml": CHAIN,
        "roles/app/tasks/main.yml": "- ansible.builtin.command: make",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return World(folder)


def lock(world, config=OLD, tag="stable", image="r.example.org/ops/core"):
    path = world.folder / "inventories/shop/chain.lock"
    write_lock(path, {"core": LockedTier(image, tag, MANIFEST, config, "core", "operations", "ops")})
    return path


def test_children_are_built_on_the_locked_image(world):
    lock(world)
    decisions = world.decide()
    assert (decisions["core"].action, decisions["core"].image) == (Action.KEEP, OLD)
    assert decisions["app"].parts["parent"] == OLD


def test_only_the_lock_file_makes_the_children_stale(world):
    lock(world)
    world.build()
    assert world.built() == []
    lock(world, NEW)
    assert world.built() == ["app"]


def test_a_tier_that_is_not_locked_is_an_error(world):
    with pytest.raises(ChainError, match=r"tier 'core' follows r.example.org/ops/core:stable, but chain.lock has no"):
        world.decide()
    lock(world, tag="latest")
    with pytest.raises(ChainError, match=r"has the digest of r.example.org/ops/core:latest"):
        world.decide()


def test_a_damaged_lock_file_is_an_error(world):
    lock(world).write_text("core: 1\n")
    with pytest.raises(DamagedError, match="not a valid lock file"):
        world.decide()


def test_a_followed_tier_cannot_be_forced(world):
    lock(world)
    with pytest.raises(
        ChainError, match=r"tier_force names 'core', but this tier follows r.example.org/ops/core:stable"
    ):
        world.planner().decide(world.engine, ["core"])


def test_a_followed_tier_has_no_tests_of_its_own_and_is_not_claimed(world):
    lock(world)
    planner = world.planner()
    assert not planner.roles.tests("core")
    assert planner.inventory.home.tiers == ("app app",)
    assert planner.inventory.followed == {"core": Followed("r.example.org/ops/core:stable", MANIFEST, OLD)}


def test_only_tests_are_planned_without_moving_a_followed_tier(world):
    lock(world)
    assert world.planner().take(world.engine)["core"].action is Action.LEAVE


def test_the_shared_cache_knows_the_layers_of_a_locked_image(world, monkeypatch, tmp_path):
    """A machine with an empty engine takes the children of a followed image from the cache, too."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with fake_registry() as registry:
        layers = [tier_layer(1), tier_layer(2)]
        manifest, config = publish(registry, "ops/core", "stable", layers, owners=["base", "core"])
        world.extra = {"registry": registry.host, "tier_shared_cache": "read"}
        path = lock(world, config, image=f"{registry.host}/ops/core")
        path.write_text(path.read_text().replace(MANIFEST, manifest))
        cache = world.planner().open_cache(world.engine)
        assert cache._layers_of(config) == tuple(map(digest, layers))
        assert cache._layers_of(NEW) is None
