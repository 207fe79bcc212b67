"""The tiers that a report covers, and its facts about each of them."""

from __future__ import annotations

import json

import pytest

import made_chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import NotFoundError, UsageError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.content import (
    Folder,
    PackageOrigin,
    TouchedFile,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.gathering import gather
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import open_place
from made_images import config, digest, layer, layout, step, tier_step, write

ONE = layer(("one", b"1"))
TWO = layer(("two", b"2"))
TOP = layer(("top", b"3"))


def labelled(tier, chain="shop"):
    return {"Labels": {"io.tierwright.chain": chain, "io.tierwright.tier": tier}}


@pytest.fixture
def gather_layout(tmp_path):
    def gather_images(images, wanted=None):
        write(tmp_path / "layout", layout(images))
        store = Store(tmp_path / "store")
        return gather(open_place("oci", str(tmp_path / "layout"), store), store, wanted, "2026-11-24T12:00:00Z")

    return gather_images


def parents_of(facts):
    """Each tier with its parent."""
    return {tier.name: None if tier.parent is None else facts.tiers[tier.parent].name for tier in facts.tiers}


def test_tiers_are_listed_after_their_parents(facts):
    report = facts()
    assert report.chain == "shop"
    assert parents_of(report) == {tier: parent for tier, (parent, _) in made_chain.TIERS.items()}
    assert {tier.state for tier in report.tiers} == {""}
    assert [tier.team for tier in report.tiers][:2] == ["operations", "operations"]
    assert (report.matrix, report.outdated, report.missing) == (None, None, [])


def test_the_content_of_a_tier(facts):
    tier = next(tier for tier in facts().tiers if tier.name == "httpd-php")
    assert [content.layer.tier for content in tier.content.layers] == ["base", "corebuild", "httpd-php"]
    assert tier.content.packages == [
        PackageOrigin("base-data", "amd64", "1", "base"),
        PackageOrigin("corebuild-data", "amd64", "1", "corebuild"),
        PackageOrigin("httpd-php-data", "amd64", "1", "httpd-php"),
        PackageOrigin("ssl", "amd64", "3.0.2", "httpd-php"),
    ]
    assert tier.content.touched == [TouchedFile("etc/motd", "changed", "corebuild")]
    assert tier.content.folders[-1] == Folder("srv", 1, 2)
    assert [(release.tag, release.reasons, release.current) for release in tier.releases] == [
        ("release-20261124T093000Z", [], True)
    ]
    assert tier.image.own_layers == 1


def test_recorded_states_are_shown(facts):
    made_chain.write_status(failed={"wordpress": "it broke"}, stale={"mariadb": "x changed"})
    made_chain.write_matrices()
    report = facts()
    assert {tier.name: (tier.state, tier.reasons) for tier in report.tiers if tier.state} == {
        "wordpress": ("failed", ["it broke", "test_it (team development): no"]),
        "shop": ("not reached", ["the tier below it failed"]),
        "mariadb": ("stale", ["x changed"]),
    }
    assert not report.matrix.passed
    assert len(report.changes.changes) == 2


def test_a_tier_without_an_image_is_shown(facts):
    made_chain.write_status({**made_chain.TIERS, "blog": ("httpd-php", "development")})
    report = facts()
    blog = next(tier for tier in report.tiers if tier.name == "blog")
    assert (blog.state, blog.team, parents_of(report)["blog"]) == ("no image", "development", "httpd-php")
    assert set(parents_of(facts(absent=False))) == set(made_chain.TIERS)


def test_an_unreleased_build_is_not_the_image_in_use(gather_layout):
    made_chain.write_status({"base": (None, "ops")})
    images = {"base:key-0123456789abcdef": (config([ONE], [tier_step("base", "ops")], **labelled("base")), [ONE])}
    [base] = gather_layout(images).tiers
    assert (base.image, base.state, len(base.releases)) == (None, "no image", 1)


def test_images_of_a_different_project_with_the_same_chain_name_are_not_shown(gather_layout):
    made_chain.write_status({"base": (None, "ops")})
    images = {
        "base:latest": (config([ONE], [tier_step("base", "ops")], **labelled("base")), [ONE]),
        "theirs:latest": (config([TWO], [tier_step("theirs", "ops")], **labelled("theirs")), [TWO]),
        "theirs/base:latest": (config([TOP], [tier_step("base", "ops")], **labelled("base")), [TOP]),
    }
    assert [(tier.name, tier.image.names) for tier in gather_layout(images, "shop").tiers] == [
        ("base", ["base:latest"])
    ]


def test_images_with_a_former_name_of_the_chain_are_shown(gather_layout):
    made_chain.write_status({"base": (None, "ops")})
    images = {"base:latest": (config([ONE], [tier_step("base", "ops")], **labelled("base", "inventory")), [ONE])}
    assert [(tier.name, tier.state) for tier in gather_layout(images, "shop").tiers] == [("base", "")]


def test_damaged_records_are_reported(facts):
    made_chain.write_status()
    made_chain.write_matrices()
    for path in state_folder("shop").rglob("*.json"):
        path.write_text("{")
    report = facts()
    assert len(report.missing) == 2
    assert len(report.tiers) == len(made_chain.TIERS)


def test_images_without_a_chain_are_arranged_by_their_layers(gather_layout):
    images = {
        "one:1": (config([ONE], [step("RUN one")], Env=["A=1"]), [ONE]),
        "two:1": (config([ONE, TWO], [step("RUN one"), step("RUN two")]), [ONE, TWO]),
    }
    report = gather_layout(images)
    assert report.chain is None
    assert parents_of(report) == {"one:1": None, "two:1": "one:1"}
    assert report.tiers[0].content.layers[0].layer.created_by == "RUN one"


def test_one_of_several_chains_must_be_named(gather_layout):
    images = {
        "a:latest": (config([ONE], [tier_step("a", "ops")], **labelled("a", "first")), [ONE]),
        "b:latest": (config([TWO], [tier_step("b", "ops")], **labelled("b", "second")), [TWO]),
    }
    with pytest.raises(UsageError, match="has several chains; name one of first, second"):
        gather_layout(images)
    assert parents_of(gather_layout(images, "second")) == {"b": None}
    with pytest.raises(NotFoundError, match="no tier of a chain 'third'; its chains: first, second"):
        gather_layout(images, "third")


def test_a_chain_is_shown_with_the_images_that_it_is_based_on_and_that_are_based_on_it(gather_layout):
    """Other images are not shown. An image whose labels are inherited is not a tier."""
    steps = [tier_step("base", "ops"), tier_step("web", "dev"), step("RUN top")]
    images = {
        "base:latest": (config([ONE], steps[:1], **labelled("base", "elsewhere")), [ONE]),
        "web:latest": (config([ONE, TWO], steps[:2], **labelled("web")), [ONE, TWO]),
        "top:1": (config([ONE, TWO, TOP], steps, **labelled("web")), [ONE, TWO, TOP]),
        "other:1": (config([ONE, TOP], [steps[0], steps[2]]), [ONE, TOP]),
    }
    report = gather_layout(images, "shop")
    assert parents_of(report) == {"base": None, "web": "base", "top:1": "web"}
    assert [tier.team for tier in report.tiers] == ["ops", "dev", None]


def test_a_tier_on_an_old_image_of_its_parent_is_stale(gather_layout):
    steps = [tier_step("base", "ops"), tier_step("web", "dev")]
    images = {
        "base:latest": (config([TWO], steps[:1], **labelled("base")), [TWO]),
        "base:key-0123456789abcdef": (config([ONE], steps[:1], **labelled("base")), [ONE]),
        "web:latest": (config([ONE, TOP], steps, **labelled("web")), [ONE, TOP]),
    }
    report = gather_layout(images)
    assert parents_of(report) == {"base": None, "web": "base"}
    assert [tier.state for tier in report.tiers] == ["", "stale"]
    assert len(report.tiers[0].releases) == 2


def test_a_damaged_image_is_reported_on_its_page(gather_layout, tmp_path):
    images = {
        "a:latest": (config([ONE], [tier_step("a", "ops")], **labelled("a")), [ONE]),
        "b:latest": (config([ONE, TWO], [tier_step("a", "ops"), tier_step("b", "ops")], **labelled("b")), [ONE, TWO]),
    }
    (tmp_path / "layout/blobs/sha256").mkdir(parents=True)
    blob = tmp_path / "layout/blobs/sha256" / digest(TWO).removeprefix("sha256:")
    blob.symlink_to("/dev/null")  # the fixture writes this blob to nowhere
    report = gather_layout(images)
    assert [tier.content is None for tier in report.tiers] == [False, True]
    assert digest(TWO) in report.tiers[1].unread[0]


def test_a_cycle_of_parents_is_cut(facts):
    made_chain.write_status()
    path = state_folder("shop") / "standing.json"
    status = json.loads(path.read_text())
    status["base"]["parent"] = "wordpress"
    path.write_text(json.dumps(status))
    report = facts()
    assert sum(tier.parent is None for tier in report.tiers) == 1
    assert {tier.name for tier in report.tiers} == set(made_chain.TIERS)


def test_a_place_without_named_images_is_an_error(gather_layout):
    with pytest.raises(NotFoundError, match="has no image with a name"):
        gather_layout({})
