"""What a report is about, and what it says of it."""

from __future__ import annotations

import json

import pytest

import made_chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import NotFoundError, UsageError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.gathering import gather
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.model import (
    Folder,
    PackageOrigin,
    TouchedFile,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import open_place
from made_images import config, digest, layer, layout, ours, step, write

ONE = layer(("one", b"1"))
TWO = layer(("two", b"2"))
TOP = layer(("top", b"3"))


def labelled(tier, chain="shop"):
    return {"Labels": {"io.tierwright.chain": chain, "io.tierwright.tier": tier}}


@pytest.fixture
def gather_(tmp_path):
    def gather__(images, wanted=None):
        write(tmp_path / "layout", layout(images))
        store = Store(tmp_path / "store")
        return gather(open_place("oci", str(tmp_path / "layout"), store), store, wanted, "2026-11-24T12:00:00Z")

    return gather__


def drawn(facts):
    """Each tier with what it stands on."""
    return {tier.name: None if tier.parent is None else facts.tiers[tier.parent].name for tier in facts.tiers}


def test_tiers_of_the_chain_parents_first(facts):
    told = facts()
    assert told.chain == "shop"
    assert drawn(told) == {tier: parent for tier, (parent, _) in made_chain.TIERS.items()}
    assert {tier.state for tier in told.tiers} == {""}
    assert [tier.team for tier in told.tiers][:2] == ["operations", "operations"]
    assert (told.matrix, told.outdated, told.missing) == (None, None, [])


def test_what_is_in_a_tier(facts):
    tier = next(tier for tier in facts().tiers if tier.name == "httpd-php")
    assert [each.layer.tier for each in tier.content.layers] == ["base", "corebuild", "httpd-php"]
    assert tier.content.packages == [
        PackageOrigin("base-data", "amd64", "1", "base"),
        PackageOrigin("corebuild-data", "amd64", "1", "corebuild"),
        PackageOrigin("httpd-php-data", "amd64", "1", "httpd-php"),
        PackageOrigin("ssl", "amd64", "3.0.2", "httpd-php"),
    ]
    assert tier.content.touched == [TouchedFile("etc/motd", "changed", "corebuild")]
    assert tier.content.folders[-1] == Folder("srv", 1, 2)
    assert [(each.tag, each.reasons, each.current) for each in tier.releases] == [
        ("release-20261124T093000Z", [], True)
    ]
    assert tier.image.own_layers == 1


def test_what_was_noted_shows(facts):
    made_chain.note(failed={"wordpress": "it broke"}, stale={"mariadb": "x changed"})
    made_chain.note_matrices()
    told = facts()
    assert {tier.name: (tier.state, tier.reasons) for tier in told.tiers if tier.state} == {
        "wordpress": ("failed", ["it broke", "test_it (team development): no"]),
        "shop": ("not reached", ["the tier below it failed"]),
        "mariadb": ("stale", ["x changed"]),
    }
    assert not told.matrix.passed
    assert len(told.changes.changes) == 2


def test_a_tier_of_the_inventory_without_an_image(facts):
    made_chain.note({**made_chain.TIERS, "blog": ("httpd-php", "development")})
    told = facts()
    blog = next(tier for tier in told.tiers if tier.name == "blog")
    assert (blog.state, blog.team, drawn(told)["blog"]) == ("no image", "development", "httpd-php")
    assert set(drawn(facts(absent=False))) == set(made_chain.TIERS)


def test_a_build_that_was_never_released_is_no_image_in_use(gather_):
    made_chain.note({"base": (None, "ops")})
    images = {"base:key-0123456789abcdef": (config([ONE], [ours("base", "ops")], **labelled("base")), [ONE])}
    [base] = gather_(images).tiers
    assert (base.image, base.state, len(base.releases)) == (None, "no image", 1)


def test_images_of_another_project_whose_chain_has_the_same_name_are_not_shown(gather_):
    made_chain.note({"base": (None, "ops")})
    images = {
        "base:latest": (config([ONE], [ours("base", "ops")], **labelled("base")), [ONE]),
        "theirs:latest": (config([TWO], [ours("theirs", "ops")], **labelled("theirs")), [TWO]),
        "theirs/base:latest": (config([TOP], [ours("base", "ops")], **labelled("base")), [TOP]),
    }
    assert [(tier.name, tier.image.names) for tier in gather_(images, "shop").tiers] == [("base", ["base:latest"])]


def test_images_of_before_the_chain_was_called_otherwise_are_shown(gather_):
    made_chain.note({"base": (None, "ops")})
    images = {"base:latest": (config([ONE], [ours("base", "ops")], **labelled("base", "inventory")), [ONE])}
    assert [(tier.name, tier.state) for tier in gather_(images, "shop").tiers] == [("base", "")]


def test_notes_that_are_damaged_are_told(facts):
    made_chain.note()
    made_chain.note_matrices()
    for path in state_folder("shop").rglob("*.json"):
        path.write_text("{")
    told = facts()
    assert len(told.missing) == 2
    assert len(told.tiers) == len(made_chain.TIERS)


def test_images_of_no_chain_are_shown_by_their_layers(gather_):
    images = {
        "one:1": (config([ONE], [step("RUN one")], Env=["A=1"]), [ONE]),
        "two:1": (config([ONE, TWO], [step("RUN one"), step("RUN two")]), [ONE, TWO]),
    }
    told = gather_(images)
    assert told.chain is None
    assert drawn(told) == {"one:1": None, "two:1": "one:1"}
    assert told.tiers[0].content.layers[0].layer.created_by == "RUN one"


def test_one_of_several_chains_is_asked_for(gather_):
    images = {
        "a:latest": (config([ONE], [ours("a", "ops")], **labelled("a", "first")), [ONE]),
        "b:latest": (config([TWO], [ours("b", "ops")], **labelled("b", "second")), [TWO]),
    }
    with pytest.raises(UsageError, match="has several chains; name one of first, second"):
        gather_(images)
    assert drawn(gather_(images, "second")) == {"b": None}
    with pytest.raises(NotFoundError, match="no tier of a chain 'third'; its chains: first, second"):
        gather_(images, "third")


def test_a_chain_brings_what_it_stands_on_and_what_others_put_on_it(gather_):
    """Not what else stands there, nor images that say of themselves what they inherited."""
    steps = [ours("base", "ops"), ours("web", "dev"), step("RUN top")]
    images = {
        "base:latest": (config([ONE], steps[:1], **labelled("base", "elsewhere")), [ONE]),
        "web:latest": (config([ONE, TWO], steps[:2], **labelled("web")), [ONE, TWO]),
        "top:1": (config([ONE, TWO, TOP], steps, **labelled("web")), [ONE, TWO, TOP]),
        "other:1": (config([ONE, TOP], [steps[0], steps[2]]), [ONE, TOP]),
    }
    told = gather_(images, "shop")
    assert drawn(told) == {"base": None, "web": "base", "top:1": "web"}
    assert [tier.team for tier in told.tiers] == ["ops", "dev", None]


def test_an_old_image_of_a_parent_makes_a_tier_stale(gather_):
    steps = [ours("base", "ops"), ours("web", "dev")]
    images = {
        "base:latest": (config([TWO], steps[:1], **labelled("base")), [TWO]),
        "base:key-0123456789abcdef": (config([ONE], steps[:1], **labelled("base")), [ONE]),
        "web:latest": (config([ONE, TOP], steps, **labelled("web")), [ONE, TOP]),
    }
    told = gather_(images)
    assert drawn(told) == {"base": None, "web": "base"}
    assert [tier.state for tier in told.tiers] == ["", "stale"]
    assert len(told.tiers[0].releases) == 2


def test_a_damaged_image_is_told_on_its_page(gather_, tmp_path):
    images = {
        "a:latest": (config([ONE], [ours("a", "ops")], **labelled("a")), [ONE]),
        "b:latest": (config([ONE, TWO], [ours("a", "ops"), ours("b", "ops")], **labelled("b")), [ONE, TWO]),
    }
    (tmp_path / "layout/blobs/sha256").mkdir(parents=True)
    blob = tmp_path / "layout/blobs/sha256" / digest(TWO).removeprefix("sha256:")
    blob.symlink_to("/dev/null")  # what the fixture writes there is lost
    told = gather_(images)
    assert [tier.content is None for tier in told.tiers] == [False, True]
    assert digest(TWO) in told.tiers[1].unread[0]


def test_parents_that_lead_in_a_circle_are_cut(facts):
    made_chain.note()
    path = state_folder("shop") / "standing.json"
    noted = json.loads(path.read_text())
    noted["base"]["parent"] = "wordpress"
    path.write_text(json.dumps(noted))
    told = facts()
    assert sum(tier.parent is None for tier in told.tiers) == 1
    assert {tier.name for tier in told.tiers} == set(made_chain.TIERS)


def test_nothing_has_a_name(gather_):
    with pytest.raises(NotFoundError, match="has no image with a name"):
        gather_({})
