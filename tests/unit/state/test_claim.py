"""Who may use the name of a chain: one project, in any number of places."""

from __future__ import annotations

import re

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.claim import (
    check_claim,
    check_images,
    claim,
    followed_images,
    own_repositories,
    volume_name,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.owner import Home
from fake_engine import FakeEngine


def release(engine, name, chain, tier):
    image_labels = {labels.CHAIN: chain, labels.TIER: tier}
    engine.add(f"sha256:{name}", image_labels, f"{name}:latest", created_by=f"tierwright: tier {tier}: role x")


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def user(monkeypatch, tmp_path):
    """Become a user with a separate state folder."""

    def become(name):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state" / name))

    become("anne")
    return become


@pytest.fixture
def home(tmp_path):
    def make(name, *tiers, **more):
        folder = tmp_path / name / "inventory"
        folder.mkdir(parents=True, exist_ok=True)
        return Home(str(folder), "builder", name, tuple(f"{tier} {tier}" for tier in tiers), **more)

    return make


def record():
    return state_folder("shop").parent / "+homes/shop.json"


pytestmark = pytest.mark.usefixtures("user")

OURS, THEIRS = {"origin": "example.org/acme/shop"}, {"origin": "example.org/other/blog"}
ROOTS = {"roots": ("1" * 40,)}


@pytest.mark.parametrize(
    ("description", "first", "second", "same"),
    [
        ("two projects", ("a", ("base", "web"), {}), ("b", ("base", "db"), {}), False),
        ("two projects without a common tier", ("a", ("web",), {}), ("b", ("db",), {}), False),
        ("a copy", ("a", ("base", "web"), {}), ("b", ("base", "web"), {}), True),
        ("a copy of an older state", ("a", ("base", "web", "db"), {}), ("b", ("base", "web"), {}), True),
        ("the same place with other tiers", ("a", ("base", "web"), {}), ("a", ("base", "db"), {}), True),
        ("a clone with other tiers", ("a", ("base", "web"), OURS), ("b", ("base", "db"), OURS), True),
        ("clones of two repositories with the same tiers", ("a", ("base",), OURS), ("b", ("base",), THEIRS), False),
        ("clones from two addresses", ("a", ("base",), ROOTS | OURS), ("b", ("base",), ROOTS | THEIRS), True),
        ("a fork with other tiers", ("a", ("base", "web"), ROOTS | OURS), ("b", ("base", "db"), ROOTS | THEIRS), False),
        ("a repository that moved", ("a", ("base", "web"), OURS), ("a", ("base", "web"), THEIRS), True),
        ("a place that contains a different repository now", ("a", ("web",), OURS), ("a", ("db",), THEIRS), False),
        (
            "two folders of one repository",
            ("a", ("web",), {**OURS, "within": "one"}),
            ("b", ("db",), {**OURS, "within": "two"}),
            False,
        ),
    ],
)
@pytest.mark.parametrize("second_user", ["anne", "bob"])
def test_two_projects_cannot_have_the_same_name(engine, user, home, description, first, second, same, second_user):
    assert description
    (name, tiers, more), (other, others, other_fields) = first, second
    claim(engine, "shop", home(name, *tiers, **more))
    user(second_user)
    before = dict(engine.world.volumes), sorted(state_folder("shop").parent.rglob("*"))
    later = home(other, *others, **other_fields)
    if same:
        check_claim(engine, "shop", later)
        claim(engine, "shop", later)
        return
    for attempt in (check_claim, claim):
        expected = r"another project has a chain 'shop'.*Nothing was changed.*tier_chain"
        with pytest.raises(RunError, match=expected) as error:
            attempt(engine, "shop", later)
        assert home(name).inventory in str(error.value)
        assert later.inventory in str(error.value)
    assert (dict(engine.world.volumes), sorted(state_folder("shop").parent.rglob("*"))) == before
    claim(engine, "another-name", later)


def test_first_commits_are_added_to_an_old_record(engine, user, home):
    claim(engine, "shop", home("a", "base", **OURS))
    claim(engine, "shop", home("b", "base", **OURS, **ROOTS))
    user("bob")
    claim(engine, "shop", home("c", "base", **THEIRS, **ROOTS))


def test_the_name_of_a_removed_project_is_free(engine, home, tmp_path):
    claim(engine, "shop", home("a", "web"))
    (tmp_path / "a/inventory").rmdir()
    claim(engine, "shop", home("b", "db"))
    assert home("b").inventory in engine.world.volumes[volume_name("shop")][labels.HOME]


def test_the_message_says_how_to_replace_a_project_and_this_works(engine, home):
    claim(engine, "shop", home("a", "web"))
    with pytest.raises(RunError, match=rf"remove {re.escape(str(record()))}"):
        claim(engine, "shop", home("b", "db"))
    record().unlink()
    with pytest.raises(RunError, match=f"docker volume rm {volume_name('shop')}"):
        claim(engine, "shop", home("b", "db"))
    engine.volumes.remove(volume_name("shop"))
    claim(engine, "shop", home("b", "db"))


def test_images_from_before_there_were_claims_are_respected(engine, home):
    release(engine, "web", "shop", "web")
    release(engine, "base", "shop", "base")
    with pytest.raises(RunError, match="a place that is not recorded \\(tiers base, web\\)"):
        claim(engine, "shop", home("b", "db"))
    assert engine.world.volumes == {}
    claim(engine, "shop", home("a", "base", "web", "db"))


def test_a_copy_is_recognised_by_tiers_that_were_added_after_the_claim(engine, user, home):
    claim(engine, "shop", home("a", "base", "web"))
    release(engine, "db", "shop", "db")
    user("bob")
    claim(engine, "shop", home("b", "base", "db"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tiers": 5}', '{"inventory": 5, "host": "", "tiers": []}'])
def test_a_damaged_record_blocks_nobody(engine, home, content):
    claim(engine, "shop", home("a", "web"))
    record().write_text(content)
    engine.world.volumes[volume_name("shop")] = {labels.HOME: content}
    claim(engine, "shop", home("a", "web"))


def test_one_of_two_simultaneous_claims_is_rejected(engine, user, home, monkeypatch):
    """Both have found no claim. The engine creates a volume of this name only once."""
    theirs = FakeEngine()
    claim(theirs, "shop", home("a", "web"))
    user("bob")
    monkeypatch.setattr(engine.volumes, "create", lambda name, labels: theirs.world.volumes[name])  # noqa: ARG005
    with pytest.raises(RunError, match="another project has a chain"):
        claim(engine, "shop", home("b", "db"))


def test_a_chain_keeps_the_repositories_of_its_former_tiers(engine, home):
    claim(engine, "shop", home("a", "base", "old"))
    claim(engine, "shop", home("a", "base", "new"))
    assert own_repositories("shop", home("a", "base", "new")) == {"base": {"base"}, "old": {"old"}, "new": {"new"}}


def test_a_release_tag_of_a_different_project_is_not_moved(engine, home, make_tier):
    """Both projects have a tier `base` with the image name `base`. Their chains have different names."""
    tier = make_tier("base")
    claim(engine, "shop", home("a", "base"))
    release(engine, "base", "shop", "base")
    check_images(engine, "shop", home("a", "base"), {tier: "sha256:base"})
    with pytest.raises(
        RunError, match="tier 'base': the image base:latest belongs to another project's chain, in"
    ) as error:
        check_images(engine, "blog", home("b", "base"), {tier: "sha256:base"})
    assert "tier_image: blog/base" in str(error.value)
    check_images(engine, "renamed", home("a", "base"), {tier: "sha256:base"})  # it is the same project
    check_images(engine, "blog", home("b", "base"), {tier: None})


def test_a_release_from_before_chains_had_names_belongs_to_the_project_of_its_tier(engine, home, make_tier):
    tier, former = make_tier("base"), {"former": "inventory"}
    release(engine, "base", "inventory", "base")
    check_images(engine, "shop", home("a", "base", **former), {tier: "sha256:base"})
    claim(engine, "shop", home("a", "base", **former))
    check_images(engine, "shop", home("a", "base", **former), {tier: "sha256:base"})
    check_images(engine, "shop", home("copy", "base", **former), {tier: "sha256:base"})
    with pytest.raises(RunError, match="the image base:latest belongs to another project's chain"):
        check_images(engine, "blog", home("b", "base", **former), {tier: "sha256:base"})


FOLLOWED = Tier("base", "operations", "r.example.org/base", "latest", source=Follow("r.example.org/base"))


def test_the_image_of_a_followed_tier_belongs_to_another_chain(engine, home):
    claim(engine, "shop", home("a", "web"))
    release(engine, "r.example.org/base", "ops", "base")
    check_images(engine, "shop", home("a", "web"), {FOLLOWED: "sha256:r.example.org/base"})
    [image] = followed_images(engine, "shop", [FOLLOWED], engine.images.snapshot().names)
    assert (image.id, image.tier) == ("sha256:r.example.org/base", "base")


def test_the_name_of_a_followed_image_must_not_be_that_of_a_chain_on_the_same_engine(engine, home):
    claim(engine, "ops", home("o", "r.example.org/base", roots=ROOTS["roots"]))
    release(engine, "r.example.org/base", "ops", "base")
    for image in ("sha256:r.example.org/base", None):
        with pytest.raises(RunError, match=r"tier_image: shop/base") as error:
            check_images(
                engine, "shop", home("a", "web", roots=ROOTS["roots"]), {FOLLOWED: image}
            )  # even of one project
        assert "tier 'base' follows r.example.org/base:latest, and on this engine, the chain in" in str(error.value)
    assert followed_images(engine, "shop", [FOLLOWED], engine.images.snapshot().names) == []


def test_images_that_users_built_on_a_followed_image_are_not_listed(engine):
    own = {labels.CHAIN: "ops", labels.TIER: "base"}
    engine.add("sha256:child", own, "r.example.org/base:mine", created_by="RUN apt-get update")
    assert followed_images(engine, "shop", [FOLLOWED], engine.images.snapshot().names) == []
