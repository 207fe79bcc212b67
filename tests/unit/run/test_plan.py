from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils.keys.parts import content_tag, digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils.run.plan import Action, decide

NAMES = ("base", "corebuild", "httpd-php", "mariadb", "wordpress")
PARENTS = {"corebuild": "base", "httpd-php": "corebuild", "mariadb": "corebuild", "wordpress": "httpd-php"}


class World:
    """An engine in memory, with a chain that was built and released."""

    def __init__(self, make_tier, make_image):
        self.chain = Chain(make_tier(name, PARENTS.get(name)) for name in NAMES)
        self.parts = {name: {"role": f"{name}-1"} for name in NAMES}
        self.images = {}
        self.make_image = make_image

    def build(self, *names):
        for name in names:
            parts = dict(self.parts[name])
            if name in PARENTS:
                parts["parent"] = self.images[f"{PARENTS[name]}:latest"].id
            self.release(name, parts)

    def release(self, name, parts, **more):
        tier = self.chain[name]
        image = self.make_image(f"sha256:{digest_key(parts)}", {**labels.identity("demo", tier, parts, None), **more})
        self.images[tier.release] = image
        self.images[f"{tier.image}:{content_tag(digest_key(parts))}"] = image

    def decide(self, selected=NAMES, forced=()):
        return decide(self.chain, self.parts, self.images.get, selected=selected, forced=forced)

    def built(self, **how):
        return [name for name, decision in self.decide(**how).items() if decision.action is Action.BUILD]


@pytest.fixture
def world(make_tier, make_image):
    world = World(make_tier, make_image)
    world.build(*NAMES)
    return world


def test_nothing_changed(world):
    decisions = world.decide()
    assert {decision.action for decision in decisions.values()} == {Action.KEEP}
    assert all(decision.released and decision.reasons == ("nothing changed",) for decision in decisions.values())


def test_nothing_exists(make_tier, make_image):
    world = World(make_tier, make_image)
    decisions = world.decide()
    assert {decision.action for decision in decisions.values()} == {Action.BUILD}
    assert decisions["base"].reasons == ("there is no image base:latest",)
    assert decisions["wordpress"].reasons == ("parent httpd-php is built",)


@pytest.mark.parametrize(
    ("changed", "built"),
    [
        ("wordpress", ["wordpress"]),
        ("httpd-php", ["httpd-php", "wordpress"]),
        ("mariadb", ["mariadb"]),
        ("corebuild", ["corebuild", "httpd-php", "mariadb", "wordpress"]),
        ("base", list(NAMES)),
    ],
)
def test_a_change_reaches_what_stands_on_it_and_nothing_else(world, changed, built):
    world.parts[changed] = {"role": "2"}
    decisions = world.decide()
    assert [name for name in decisions if decisions[name].action is Action.BUILD] == built
    assert decisions[changed].reasons == ("role changed",)


def test_a_tier_that_changed_below_a_changed_parent_says_both(world):
    world.parts["corebuild"] = {"role": "2"}
    world.parts["mariadb"] = {"role": "2"}
    assert world.decide()["mariadb"].reasons == ("role changed", "parent corebuild is built")


def test_force(world):
    assert world.built(forced=["httpd-php"]) == ["httpd-php", "wordpress"]
    assert world.decide(forced=["mariadb"])["mariadb"].reasons == ("forced by tier_force",)


def test_a_limited_run_builds_on_the_parent_s_current_image(world):
    world.parts["corebuild"] = world.parts["httpd-php"] = {"role": "2"}
    decisions = world.decide(selected=["httpd-php"])
    assert decisions["httpd-php"].action is Action.BUILD
    assert decisions["httpd-php"].parts["parent"] == world.images["corebuild:latest"].id
    assert {decisions[name].action for name in NAMES if name != "httpd-php"} == {Action.LEAVE}


def test_a_limited_run_without_the_parent_s_image_is_refused(world):
    del world.images["corebuild:latest"]
    with pytest.raises(ChainError, match=r"tier 'httpd-php': its parent 'corebuild' has no image.*--limit corebuild,"):
        world.decide(selected=["httpd-php"])


def test_a_parent_that_somebody_else_s_image_took_the_name_of_does_not_count(world, make_image):
    world.images["corebuild:latest"] = make_image("sha256:evil", {labels.TIER: "wordpress"})
    with pytest.raises(ChainError, match="has no image corebuild:latest"):
        world.decide(selected=["httpd-php"])


def test_an_image_that_was_built_but_never_released_is_not_built_again(world):
    tag = next(name for name in world.images if name.startswith("wordpress:key-"))
    world.images["wordpress:latest"] = world.make_image("sha256:old", {labels.TIER: "wordpress", labels.KEY: "old"})
    decision = world.decide()["wordpress"]
    assert decision.action is Action.KEEP
    assert not decision.released
    assert decision.image == world.images[tag].id


def test_inherited_labels_are_no_identity(world):
    """A child carries its parent's labels unless it rewrites them: such an image is no hit for the parent."""
    key = content_tag(digest_key({"role": "base-2"}))
    world.parts["base"] = {"role": "base-2"}
    world.images[f"base:{key}"] = world.make_image(
        "sha256:other", {labels.TIER: "corebuild", labels.KEY: digest_key({"role": "base-2"})}
    )
    assert world.decide()["base"].action is Action.BUILD


def test_a_released_image_of_unknown_origin_is_replaced(world):
    world.images["mariadb:latest"] = world.make_image("sha256:x", {labels.TIER: "mariadb", labels.PARTS: "{"})
    world.parts["mariadb"] = {"role": "2"}
    assert world.decide()["mariadb"].reasons == ("mariadb:latest does not say how it came",)


def test_stored_parts_survive_the_label(world):
    stored = world.images["wordpress:latest"].labels
    assert labels.stored_parts(stored, "wordpress") == json.loads(stored[labels.PARTS])
    assert labels.stored_parts(stored, "httpd-php") is None
