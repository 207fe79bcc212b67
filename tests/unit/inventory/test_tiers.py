from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Bootstrap, Follow, Import, Pull
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.tiers import read_chain, read_tier

DIGEST = "sha256:" + "0f" * 32
FOLLOW = {"image": "registry.example.org/operations/corebuild"}


def variables(**tier):
    return {
        "group_names": ["operations", "tiers"],
        "inventory_dir": "/inv",
        **{f"tier_{name}": value for name, value in tier.items()},
    }


def test_a_tier_with_only_a_parent_has_defaults():
    tier = read_tier("httpd-php", variables(parent="corebuild"))
    assert (tier.role, tier.image, tier.release, tier.team) == (
        "httpd_php",
        "httpd-php",
        "httpd-php:latest",
        "operations",
    )
    assert tier.source is None


def test_every_default_can_be_changed():
    tier = read_tier("x", variables(parent="p", role="a.b.c", image="reg:5000/x", tag="1.0", team="web"))
    assert (tier.role, tier.release, tier.team) == ("a.b.c", "reg:5000/x:1.0", "web")


@pytest.mark.parametrize(
    ("settings", "source"),
    [
        ({"bootstrap": {"suite": "bookworm", "packages": []}}, Bootstrap("bookworm", ("main",), ())),
        ({"import": {"archive": "a.tar", "checksum": DIGEST}}, Import("/inv/a.tar", DIGEST)),
        ({"import": {"archive": "/b.tar", "checksum": DIGEST}}, Import("/b.tar", DIGEST)),
        ({"pull": f"debian@{DIGEST}"}, Pull(f"debian@{DIGEST}")),
        ({"follow": {"image": "r.example.org/ops/base"}}, Follow("r.example.org/ops/base", "latest")),
        ({"follow": {"image": "localhost/base", "tag": "stable"}}, Follow("localhost/base", "stable")),
    ],
)
def test_the_source_of_a_base_is_read(settings, source):
    assert read_tier("base", variables(**settings)).source == source


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "tier 'x': it has neither tier_parent nor a source"),
        ({"parent": "p", "pull": f"a@{DIGEST}"}, "tier 'x': .*mutually exclusive.*tier_parent"),
        ({"bootstrap": {"suite": "b"}, "pull": f"a@{DIGEST}"}, "tier 'x': .*mutually exclusive"),
        ({"bootstrap": {}}, "tier 'x': .*suite.*tier_bootstrap|tier 'x': missing required.*suite"),
        ({"bootstrap": {"suite": "b", "miror": "x"}}, "tier 'x': .*miror"),
        ({"bootstrap": "bookworm"}, "tier 'x': .*tier_bootstrap"),
        ({"import": {"archive": "a", "checksum": "md5:1"}}, "tier 'x': tier_import.checksum is 'md5:1'"),
        ({"pull": "debian:12"}, "tier 'x': tier_pull is 'debian:12'.*by digest"),
        ({"parent": "p", "tag": "no good"}, "tier 'x': tier_tag is 'no good'"),
        (
            {"parent": "p", "tag": "previous"},
            "tier 'x': tier_tag is 'previous', which is reserved: Tierwright gives images tags",
        ),
        ({"parent": "p", "tag": "release-20261124T093000Z"}, "tier 'x': tier_tag is 'release-"),
        ({"parent": "p", "image": "Web:1"}, "tier 'x': tier_image is 'Web:1'"),
        ({"parent": "p", "config": {"prots": []}}, "tier 'x': .*prots"),
        ({"pull": f"a@{DIGEST}", "role": "r"}, "tier 'x': tier_role is 'r', but no role builds a base"),
        ({"follow": FOLLOW, "role": "r"}, "tier 'x': tier_role is 'r', but no role builds a base"),
        ({"follow": FOLLOW, "before": ["a.yml"]}, "tier 'x': tier_before is .*, but no task runs for a base"),
        ({"follow": FOLLOW, "parent": "p"}, "tier 'x': .*mutually exclusive"),
        ({"follow": {"tag": "stable"}}, "tier 'x': .*image"),
        ({"follow": FOLLOW | {"digest": DIGEST}}, "tier 'x': .*digest"),
        ({"follow": {"image": "corebuild"}}, "tier 'x': tier_follow.image is 'corebuild'; expected the host"),
        ({"follow": {"image": "ops/corebuild"}}, "tier 'x': tier_follow.image is 'ops/corebuild'; expected the host"),
        ({"follow": {"image": "r.example.org/a:1"}}, "tier_follow.image is 'r.example.org/a:1'; .* without a tag"),
        ({"follow": {"image": "r.example.org/A"}}, "tier_follow.image is 'r.example.org/A'"),
        ({"follow": FOLLOW | {"tag": DIGEST}}, "tier_follow.tag is 'sha256:.*never moves, use tier_pull"),
        ({"follow": FOLLOW | {"tag": "key-0123456789abcdef"}}, "tier_follow.tag is 'key-0123456789abcdef'"),
        ({"follow": FOLLOW, "config": {"cmd": []}}, "tier 'x': tier_config is .*, but the tier follows .* unchanged"),
        ({"follow": FOLLOW, "protects": ["/etc"]}, "tier 'x': tier_protects is .*, but the tier follows"),
    ],
)
def test_an_error_names_the_tier_and_the_variable(settings, message):
    with pytest.raises(ChainError, match=message):
        read_tier("x", variables(**settings))


def test_the_health_check_of_the_parent_can_be_turned_off():
    read_tier("x", variables(parent="p", config={"healthcheck": {}}))


@pytest.mark.parametrize("name", ["HTTPD", "web_", "a b", "päge", "web:1", "-x"])
def test_a_tier_name_that_is_not_an_image_name_needs_tier_image(name):
    with pytest.raises(ChainError, match="tier_image is not set, so the image has the tier's name"):
        read_tier(name, variables(parent="p"))
    assert read_tier(name, variables(parent="p", image="web")).image == "web"


def test_the_team_must_be_unambiguous():
    view = {**variables(parent="p"), "group_names": ["a", "b", "tiers"]}
    with pytest.raises(
        ChainError, match=r"tier 'x': the team that owns it is not clear: it is in the groups a, b; set tier_team"
    ):
        read_tier("x", view)
    with pytest.raises(ChainError, match="it is in no group below 'tiers'"):
        read_tier("x", {**view, "group_names": ["tiers"]})
    assert read_tier("x", {**view, "tier_team": "a"}).team == "a"


def test_the_errors_of_all_tiers_are_reported_at_once():
    hosts = {"a": variables(), "b": variables(parent="a", tag="?"), "c": variables(parent="a")}
    with pytest.raises(ChainError) as failure:
        read_chain(hosts, hosts.__getitem__)
    assert len(str(failure.value).splitlines()) == 2


def test_an_inventory_without_tiers_is_rejected():
    with pytest.raises(ChainError, match="no hosts in the group 'tiers'"):
        read_chain([], {}.__getitem__)


def test_drop_keep_and_source_date_epoch_are_read():
    tier = read_tier("web", variables(parent="base", drop=["a/*"], keep=["b"], source_date_epoch="1700000000"))
    assert (tier.drop, tier.keep, tier.epoch) == (("a/*",), ("b",), 1_700_000_000)
    tier = read_tier("web", variables(parent="base"))
    assert (tier.drop, tier.keep, tier.epoch) == ((), (), None)


@pytest.mark.parametrize("epoch", [0, -1, 2**32])
def test_an_impossible_source_date_is_rejected(epoch):
    with pytest.raises(ChainError, match=f"tier 'web': tier_source_date_epoch is {epoch}; expected seconds since 1970"):
        read_tier("web", variables(parent="base", source_date_epoch=epoch))


@pytest.mark.parametrize("name", [".x", "..", "../up", "", "x" * 65, "a\nb", "a\x1b[2J"])
def test_a_host_name_that_is_not_a_tier_name_is_rejected(name):
    with pytest.raises(ChainError, match="the name of this host is not a valid name of a tier"):
        read_tier(name, variables(parent="base", image="team/x"))


def test_a_followed_tier_has_the_name_and_the_tag_of_its_image():
    tier = read_tier("corebuild", variables(follow=FOLLOW | {"tag": "stable"}))
    assert tier.release == "registry.example.org/operations/corebuild:stable"
    assert (tier.parent, tier.role) == (None, None)
    assert tier.followed.reference == tier.release
    assert read_tier("base", variables(pull=f"a@{DIGEST}")).followed is None


def test_a_followed_tier_can_have_a_name_and_a_tag_of_its_own_on_the_engine():
    tier = read_tier("corebuild", variables(follow=FOLLOW | {"tag": "stable"}, image="shop/corebuild", tag="latest"))
    assert tier.release == "shop/corebuild:latest"
    assert tier.followed.tag == "stable"


def test_a_tier_may_have_several_roles():
    tier = read_tier("web", variables(parent="base", roles=["a.b.web", "agent"]))
    assert (tier.role, tier.more_roles, tier.role_names) == ("a.b.web", ("agent",), "a.b.web, agent")
    assert read_tier("web", variables(parent="base", roles=["agent"])).roles == ("agent",)
    assert read_tier("my-web", variables(parent="base")).role_names == "my_web"
    assert read_tier("base", variables(bootstrap={"suite": "trixie"})).roles == ()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"roles": []}, r"tier_roles is \[\]; expected names of roles, each once"),
        ({"roles": ["a", "a"]}, r"tier_roles is \['a', 'a'\]; expected names of roles, each once"),
        ({"roles": ["a"], "role": "b"}, "it has tier_role and tier_roles; put all roles into tier_roles"),
        ({"roles": [["a"]]}, r"tier_roles\[0\] is \['a'\]; expected a string"),
    ],
)
def test_wrong_lists_of_roles_are_rejected(more, problem):
    with pytest.raises(ChainError, match=f"tier 'web': {problem}"):
        read_tier("web", variables(parent="base", **more))


def test_a_base_has_no_roles():
    with pytest.raises(ChainError, match="but no role builds a base; remove tier_roles"):
        read_tier("base", variables(bootstrap={"suite": "trixie"}, roles=["a"]))
