from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import content_tag, digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import passed_tag
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
    """An engine in memory, with a chain that was built and released."""

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

    def take_back(self, now, *names):
        """Do to tags what a rollback of `names` does, to images released before with role `now`."""
        taken = {name: self.images[f"{name}:latest"] for name in names}
        for name in names:
            parts = {"role": f"{name}-{now}"}
            if name in PARENTS:
                parts["parent"] = self.images[f"{PARENTS[name]}:latest"].id
            self.release(name, parts)
            self.images[f"{name}:withdrawn-20261124T093000Z"] = taken[name]

    def built(self, **how):
        return [name for name, decision in self.decide(**how).items() if decision.action is Action.BUILD]


@pytest.fixture
def world(make_tier, make_image, make_snapshot):
    world = World(make_tier, make_image, make_snapshot)
    world.build(*NAMES)
    return world


def test_nothing_changed(world):
    decisions = world.decide()
    assert {decision.action for decision in decisions.values()} == {Action.KEEP}
    assert all(decision.released and decision.reasons == ("nothing changed",) for decision in decisions.values())


def test_nothing_exists(make_tier, make_image, make_snapshot):
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
    assert world.decide()["mariadb"].reasons == ("mariadb:latest has no label with its key parts",)


def test_stored_parts_survive_the_label(world):
    stored = world.images["wordpress:latest"].labels
    assert labels.stored_parts(stored, "wordpress") == json.loads(stored[labels.PARTS])
    assert labels.stored_parts(stored, "httpd-php") is None


def test_what_a_rollback_took_back_is_not_released_again(world):
    """The whole branch was changed, released and taken back; nobody has changed anything since."""
    branch = ("corebuild", "httpd-php", "mariadb", "wordpress")
    for name in branch:
        world.parts[name] = {"role": f"{name}-2"}
    world.build(*branch)
    world.take_back(1, *branch)
    for name, decision in world.decide().items():
        assert decision.action is Action.KEEP
        assert decision.released
        assert decision.image == decision.was == world.images[f"{name}:latest"].id
        if name != "base":
            expected = "withdrawn by a rollback on 2026-11-24; change it, or -e tier_force=" + name
            assert decision.reasons[0].startswith(expected)


def test_what_did_not_change_below_a_tier_that_was_taken_back_is_kept_as_it_is(world):
    world.parts["corebuild"] = {"role": "corebuild-2"}
    world.build("corebuild", "httpd-php", "mariadb", "wordpress")
    world.take_back(1, "corebuild", "httpd-php", "mariadb", "wordpress")
    assert world.decide()["wordpress"].reasons == ("nothing changed",)
    assert world.built() == []


@pytest.fixture
def taken_back(world):
    """The whole branch changed, was released, and was taken back."""
    for name in ("corebuild", "httpd-php", "mariadb", "wordpress"):
        world.parts[name] = {"role": f"{name}-2"}
    world.build("corebuild", "httpd-php", "mariadb", "wordpress")
    world.take_back(1, "corebuild", "httpd-php", "mariadb", "wordpress")
    return world


def test_what_was_taken_back_and_changed_is_built_with_what_stands_on_it(taken_back):
    taken_back.parts["httpd-php"] = {"role": "httpd-php-3"}
    assert taken_back.built() == ["httpd-php", "wordpress"]


def test_what_was_taken_back_can_be_forced(taken_back):
    assert taken_back.built(forced=["mariadb"]) == ["mariadb"]


def test_what_was_taken_back_is_built_where_its_parent_has_changed_since(taken_back):
    taken_back.parts["corebuild"] = {"role": "corebuild-3"}
    taken_back.build("corebuild")  # a run limited to it
    assert taken_back.built() == ["httpd-php", "mariadb", "wordpress"]


def test_other_inputs_that_gave_what_was_taken_back_count_as_well(taken_back):
    """Changed inputs that made no other image: its content tag names the one that was taken back."""
    taken_back.parts["mariadb"] = {"role": "mariadb-2", "comment": "new"}
    key = digest_key({**taken_back.parts["mariadb"], "parent": taken_back.images["corebuild:latest"].id})
    taken_back.images[f"mariadb:{content_tag(key)}"] = taken_back.images["mariadb:withdrawn-20261124T093000Z"]
    assert taken_back.decide()["mariadb"].reasons[0].startswith("withdrawn")


def test_a_name_that_is_somebody_else_s_is_told_to_promotion_as_well(world, make_image):
    world.images["mariadb:latest"] = make_image("sha256:foreign", {})
    assert world.decide()["mariadb"].was == "sha256:foreign"
    assert world.decide(selected=["base"])["mariadb"].was == "sha256:foreign"


class TestedWorld(World):
    """The same, with a web application that is tested with the database."""

    __test__ = False

    def __init__(self, make_tier, make_image, make_snapshot):
        super().__init__(make_tier, make_image, make_snapshot)
        named = [make_tier(name, PARENTS.get(name)) for name in NAMES if name != "wordpress"]
        self.chain = Chain([*named, make_tier("wordpress", "httpd-php", neighbours=("mariadb",))])
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


def test_a_kept_image_that_passed_these_very_tests_needs_none(tested):
    assert tested.untested() == ("it was not tested yet",)
    tested.passed("1" * 32)
    assert tested.untested() == ()


def test_a_kept_image_is_tested_again_if_its_tests_changed(tested):
    tested.passed("1" * 32)
    assert tested.untested("2" * 32) == ("its tests, or contracts of its ancestors, changed",)


def test_a_kept_image_is_tested_again_with_other_neighbours(tested):
    tested.passed("1" * 32)
    tested.parts["mariadb"]["role"] = "changed"
    assert tested.untested() == ("neighbour mariadb is built",)
    tested.build("mariadb")
    assert tested.untested() == ("the images of its neighbours changed",)


def test_what_is_built_or_has_no_tests_is_no_kept_image_to_be_tested(tested):
    tested.parts["wordpress"]["role"] = "changed"
    assert tested.untested() == ()
    assert all(each.untested == () for each in tested.decide().values())


def test_what_did_not_pass_is_tested_again_and_not_built(tested):
    tested.passed("1" * 32)
    tested.parts["wordpress"]["role"] = "changed"
    parts = {**tested.parts["wordpress"], "parent": tested.images["httpd-php:latest"].id}
    candidate = tested.make_image("sha256:candidate", labels.identity("demo", tested.chain["wordpress"], parts, None))
    tested.images[f"wordpress:{tags.failed(content_tag(digest_key(parts)))}"] = candidate
    decision = tested.decide(tests={"wordpress": "2" * 32})["wordpress"]
    assert (decision.action, decision.image, decision.released) == (Action.KEEP, "sha256:candidate", False)
    assert decision.reasons == ("built before, and failed its tests", "role changed")
    assert decision.untested == ("it failed its tests before",)
    # A tier without tests, or one that is forced, is built; so is one whose parent is.
    assert tested.decide()["wordpress"].action is Action.BUILD
    assert tested.decide(tests={"wordpress": ""}, forced=["wordpress"])["wordpress"].action is Action.BUILD
    assert tested.decide(tests={"wordpress": ""}, forced=["httpd-php"])["wordpress"].action is Action.BUILD


def test_what_is_released_can_be_tested_without_a_plan_to_build(tested):
    del tested.images["mariadb:latest"]
    engine = tested.make_snapshot(tested.images)
    decisions = decide_tests_only(tested.chain, engine, selected=NAMES, tests={"wordpress", "mariadb"})
    assert {name: each.action for name, each in decisions.items() if each.action is not Action.KEEP} == {
        "mariadb": Action.LEAVE
    }
    assert [name for name, each in decisions.items() if each.untested] == ["wordpress"]
    assert decisions["wordpress"].forced
    assert decide_tests_only(tested.chain, engine, selected=["base"], tests={"wordpress"})["wordpress"].untested == ()
