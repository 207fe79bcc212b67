"""The decision for each tier: build, keep or leave it, and why."""

from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import content_tag, digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.role_tests import passed_tag
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import (
    Action,
    decide,
    decide_tests_only,
)

NAMES = ("base", "corebuild", "httpd-php", "mariadb", "wordpress")
PARENTS = {"corebuild": "base", "httpd-php": "corebuild", "mariadb": "corebuild", "wordpress": "httpd-php"}


class World:
    """A chain, and the images of an engine in memory."""

    def __init__(self, make_tier, make_image, make_snapshot):
        self.chain = Chain(make_tier(name, PARENTS.get(name)) for name in NAMES)
        self.parts = {name: {"role": f"{name}-1"} for name in NAMES}
        self.images = {}
        self.make_image, self.make_snapshot = make_image, make_snapshot

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

    def decide(self, selected=NAMES, forced=(), tests=None):
        engine = self.make_snapshot(self.images)
        return decide(self.chain, self.parts, engine, selected=selected, forced=forced, tests=tests or {})

    def roll_back(self, now, *names):
        """Move the tags as a rollback of `names` does. `now` is the number of the role in the release to go back to."""
        withdrawn = {name: self.images[f"{name}:latest"] for name in names}
        for name in names:
            parts = {"role": f"{name}-{now}"}
            if name in PARENTS:
                parts["parent"] = self.images[f"{PARENTS[name]}:latest"].id
            self.release(name, parts)
            self.images[f"{name}:withdrawn-20261124T093000Z"] = withdrawn[name]

    def built(self, **options):
        return [name for name, decision in self.decide(**options).items() if decision.action is Action.BUILD]


@pytest.fixture
def world(make_tier, make_image, make_snapshot):
    world = World(make_tier, make_image, make_snapshot)
    world.build(*NAMES)
    return world


def test_unchanged_tiers_are_kept(world):
    decisions = world.decide()
    assert {decision.action for decision in decisions.values()} == {Action.KEEP}
    assert all(decision.released and decision.reasons == ("nothing changed",) for decision in decisions.values())


def test_tiers_without_an_image_are_built(make_tier, make_image, make_snapshot):
    world = World(make_tier, make_image, make_snapshot)
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
def test_a_change_rebuilds_the_tier_and_its_descendants_only(world, changed, built):
    world.parts[changed] = {"role": "2"}
    decisions = world.decide()
    assert [name for name in decisions if decisions[name].action is Action.BUILD] == built
    assert decisions[changed].reasons == ("role changed",)


def test_a_changed_tier_with_a_changed_parent_has_both_reasons(world):
    world.parts["corebuild"] = {"role": "2"}
    world.parts["mariadb"] = {"role": "2"}
    assert world.decide()["mariadb"].reasons == ("role changed", "parent corebuild is built")


def test_forced_tiers_and_their_descendants_are_built(world):
    assert world.built(forced=["httpd-php"]) == ["httpd-php", "wordpress"]
    assert world.decide(forced=["mariadb"])["mariadb"].reasons == ("forced by tier_force",)


def test_a_limited_run_builds_on_the_current_image_of_the_parent(world):
    world.parts["corebuild"] = world.parts["httpd-php"] = {"role": "2"}
    decisions = world.decide(selected=["httpd-php"])
    assert decisions["httpd-php"].action is Action.BUILD
    assert decisions["httpd-php"].parts["parent"] == world.images["corebuild:latest"].id
    assert {decisions[name].action for name in NAMES if name != "httpd-php"} == {Action.LEAVE}


def test_a_limited_run_without_an_image_of_the_parent_is_rejected(world):
    del world.images["corebuild:latest"]
    with pytest.raises(ChainError, match=r"tier 'httpd-php': its parent 'corebuild' has no image.*--limit corebuild,"):
        world.decide(selected=["httpd-php"])


def test_a_foreign_image_with_the_name_of_the_parent_is_ignored(world, make_image):
    world.images["corebuild:latest"] = make_image("sha256:evil", {labels.TIER: "wordpress"})
    with pytest.raises(ChainError, match="has no image corebuild:latest"):
        world.decide(selected=["httpd-php"])


def test_an_unreleased_image_is_kept(world):
    tag = next(name for name in world.images if name.startswith("wordpress:key-"))
    world.images["wordpress:latest"] = world.make_image("sha256:old", {labels.TIER: "wordpress", labels.KEY: "old"})
    decision = world.decide()["wordpress"]
    assert decision.action is Action.KEEP
    assert not decision.released
    assert decision.image == world.images[tag].id


def test_a_forced_build_that_was_not_released_is_not_forgotten(world):
    """It has the key of the release, and a signature or a test of another tier was missing. Its children are on it."""
    tag = next(name for name in world.images if name.startswith("corebuild:key-"))
    world.images[tag] = world.make_image("sha256:forced", world.images[tag].labels)
    parts = {**world.parts["mariadb"], "parent": "sha256:forced"}
    image = world.make_image("sha256:child", labels.identity("demo", world.chain["mariadb"], parts, None))
    world.images[f"mariadb:{content_tag(digest_key(parts))}"] = image
    decisions = world.decide()
    assert (decisions["corebuild"].image, decisions["corebuild"].released) == ("sha256:forced", False)
    assert "which is not the current release" in decisions["corebuild"].reasons[0]
    assert (decisions["mariadb"].action, decisions["mariadb"].image) == (Action.KEEP, "sha256:child")


def test_a_release_without_its_content_tag_is_kept(world):
    for name in [name for name in world.images if ":key-" in name]:
        del world.images[name]
    assert {decision.reasons for decision in world.decide().values()} == {("nothing changed",)}


def test_inherited_labels_do_not_identify_an_image(world):
    """A child inherits the labels of its parent unless it rewrites them. Such an image is not one of the parent."""
    key = content_tag(digest_key({"role": "base-2"}))
    world.parts["base"] = {"role": "base-2"}
    world.images[f"base:{key}"] = world.make_image(
        "sha256:other", {labels.TIER: "corebuild", labels.KEY: digest_key({"role": "base-2"})}
    )
    assert world.decide()["base"].action is Action.BUILD


def test_a_released_image_without_key_parts_is_replaced(world):
    world.images["mariadb:latest"] = world.make_image("sha256:x", {labels.TIER: "mariadb", labels.PARTS: "{"})
    world.parts["mariadb"] = {"role": "2"}
    assert world.decide()["mariadb"].reasons == ("mariadb:latest has no label with its key parts",)


def test_key_parts_can_be_read_from_the_label(world):
    image_labels = world.images["wordpress:latest"].labels
    assert labels.stored_parts(image_labels, "wordpress") == json.loads(image_labels[labels.PARTS])
    assert labels.stored_parts(image_labels, "httpd-php") is None


def test_withdrawn_images_are_not_released_again(world):
    """The whole branch was changed, released and rolled back. Nothing has changed since."""
    branch = ("corebuild", "httpd-php", "mariadb", "wordpress")
    for name in branch:
        world.parts[name] = {"role": f"{name}-2"}
    world.build(*branch)
    world.roll_back(1, *branch)
    for name, decision in world.decide().items():
        assert decision.action is Action.KEEP
        assert decision.released
        assert decision.image == decision.was == world.images[f"{name}:latest"].id
        if name != "base":
            expected = "withdrawn by a rollback on 2026-11-24; change it, or -e tier_force=" + name
            assert decision.reasons[0].startswith(expected)


def test_an_unchanged_descendant_of_a_withdrawn_tier_is_kept(world):
    world.parts["corebuild"] = {"role": "corebuild-2"}
    world.build("corebuild", "httpd-php", "mariadb", "wordpress")
    world.roll_back(1, "corebuild", "httpd-php", "mariadb", "wordpress")
    assert world.decide()["wordpress"].reasons == ("nothing changed",)
    assert world.built() == []


@pytest.fixture
def rolled_back(world):
    """A chain whose whole branch was changed, released and rolled back."""
    for name in ("corebuild", "httpd-php", "mariadb", "wordpress"):
        world.parts[name] = {"role": f"{name}-2"}
    world.build("corebuild", "httpd-php", "mariadb", "wordpress")
    world.roll_back(1, "corebuild", "httpd-php", "mariadb", "wordpress")
    return world


def test_a_withdrawn_tier_that_changed_is_built_with_its_descendants(rolled_back):
    rolled_back.parts["httpd-php"] = {"role": "httpd-php-3"}
    assert rolled_back.built() == ["httpd-php", "wordpress"]


def test_a_withdrawn_tier_can_be_forced(rolled_back):
    assert rolled_back.built(forced=["mariadb"]) == ["mariadb"]


def test_a_withdrawn_tier_is_built_if_its_parent_changed_since(rolled_back):
    rolled_back.parts["corebuild"] = {"role": "corebuild-3"}
    rolled_back.build("corebuild")  # in a run that is limited to it
    assert rolled_back.built() == ["httpd-php", "mariadb", "wordpress"]


def test_changed_inputs_with_the_same_withdrawn_image_are_not_built(rolled_back):
    """Changed inputs gave the same image again: their content tag names the withdrawn image."""
    rolled_back.parts["mariadb"] = {"role": "mariadb-2", "comment": "new"}
    key = digest_key({**rolled_back.parts["mariadb"], "parent": rolled_back.images["corebuild:latest"].id})
    rolled_back.images[f"mariadb:{content_tag(key)}"] = rolled_back.images["mariadb:withdrawn-20261124T093000Z"]
    assert rolled_back.decide()["mariadb"].reasons[0].startswith("withdrawn")


def test_the_decision_records_a_foreign_image_with_the_release_tag(world, make_image):
    world.images["mariadb:latest"] = make_image("sha256:foreign", {})
    assert world.decide()["mariadb"].was == "sha256:foreign"
    assert world.decide(selected=["base"])["mariadb"].was == "sha256:foreign"


class TestedWorld(World):
    """The same world, in which the web application is tested with the database."""

    __test__ = False

    def __init__(self, make_tier, make_image, make_snapshot):
        super().__init__(make_tier, make_image, make_snapshot)
        tiers = [make_tier(name, PARENTS.get(name)) for name in NAMES if name != "wordpress"]
        self.chain = Chain([*tiers, make_tier("wordpress", "httpd-php", neighbours=("mariadb",))])
        self.build(*NAMES)

    def passed(self, tests):
        image = self.images["wordpress:latest"]
        tag = passed_tag(image.id, tests, {"mariadb": self.images["mariadb:latest"].id})
        self.images[f"wordpress:{tag}"] = image

    def untested(self, tests="1" * 32):
        return self.decide(tests={"wordpress": tests})["wordpress"].untested


@pytest.fixture
def tested(make_tier, make_image, make_snapshot):
    return TestedWorld(make_tier, make_image, make_snapshot)


def test_a_kept_image_that_passed_the_same_tests_is_not_tested(tested):
    assert tested.untested() == ("it was not tested yet",)
    tested.passed("1" * 32)
    assert tested.untested() == ()


def test_a_kept_image_is_tested_again_if_its_tests_changed(tested):
    tested.passed("1" * 32)
    assert tested.untested("2" * 32) == ("its tests, or contracts of its ancestors, changed",)


def test_a_kept_image_is_tested_again_if_a_neighbour_changed(tested):
    tested.passed("1" * 32)
    tested.parts["mariadb"]["role"] = "changed"
    assert tested.untested() == ("neighbour mariadb is built",)
    tested.build("mariadb")
    assert tested.untested() == ("the images of its neighbours changed",)


def test_only_kept_tiers_with_tests_are_tested_again(tested):
    tested.parts["wordpress"]["role"] = "changed"
    assert tested.untested() == ()
    assert all(decision.untested == () for decision in tested.decide().values())


def test_an_image_that_failed_its_tests_is_tested_again_and_not_rebuilt(tested):
    tested.passed("1" * 32)
    tested.parts["wordpress"]["role"] = "changed"
    parts = {**tested.parts["wordpress"], "parent": tested.images["httpd-php:latest"].id}
    candidate = tested.make_image("sha256:candidate", labels.identity("demo", tested.chain["wordpress"], parts, None))
    tested.images[f"wordpress:{tags.failed(content_tag(digest_key(parts)))}"] = candidate
    decision = tested.decide(tests={"wordpress": "2" * 32})["wordpress"]
    assert (decision.action, decision.image, decision.released) == (Action.KEEP, "sha256:candidate", False)
    assert decision.reasons == ("built before, and failed its tests", "role changed")
    assert decision.untested == ("it failed its tests before",)
    # A tier is built if it has no tests, if it is forced, or if its parent is built.
    assert tested.decide()["wordpress"].action is Action.BUILD
    assert tested.decide(tests={"wordpress": ""}, forced=["wordpress"])["wordpress"].action is Action.BUILD
    assert tested.decide(tests={"wordpress": ""}, forced=["httpd-php"])["wordpress"].action is Action.BUILD


def test_released_images_can_be_tested_without_a_build(tested):
    del tested.images["mariadb:latest"]
    engine = tested.make_snapshot(tested.images)
    decisions = decide_tests_only(tested.chain, engine, selected=NAMES, tests={"wordpress", "mariadb"})
    assert {name: decision.action for name, decision in decisions.items() if decision.action is not Action.KEEP} == {
        "mariadb": Action.LEAVE
    }
    assert [name for name, decision in decisions.items() if decision.untested] == ["wordpress"]
    assert decisions["wordpress"].forced
    assert decide_tests_only(tested.chain, engine, selected=["base"], tests={"wordpress"})["wordpress"].untested == ()
