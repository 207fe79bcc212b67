"""A new project: any valid names give a chain that Ansible and the room `inventory` read; others are refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Bootstrap, Follow, Pull
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, UsageError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.roles import read_role
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project.inventory_text import list_tiers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project.new_files import write_new
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project.outline import (
    NewTier,
    Outline,
    base_problem,
    chain_problem,
    check_outline,
    default_name,
    read_base,
    read_new_tier,
    role_of,
    sort_tiers,
    team_problem,
    tier_problem,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project.project_files import (
    INVENTORY,
    project_files,
)

from ..inventory.world import World

DIGEST = "sha256:" + "0f" * 32

#: Words that YAML reads as something else than a string, and others.
WORDS = st.one_of(
    st.sampled_from(["no", "on", "yes", "null", "true", "y", "n", "1e3", "0x1f", "1_0", "12", "007", "nan", "web"]),
    st.text("abcxyz019-_.", min_size=1, max_size=12),
)
SOURCES = st.one_of(
    st.sampled_from(["bookworm", "trixie", "no", "on"]).map(Bootstrap),
    st.just(Pull(f"registry.example.org/debian@{DIGEST}")),
    st.sampled_from(["latest", "1.10", "12", "on"]).map(lambda tag: Follow("registry.example.org/ops/core", tag)),
)


def outline(*tiers: str, **other) -> Outline:
    values = {
        "chain": "shop",
        "base": "base",
        "source": Bootstrap("bookworm"),
        "team": "operations",
        "registry": None,
        "ci": None,
        **other,
    }
    return Outline(tiers=tuple(read_new_tier(text, "operations") for text in tiers), **values)


@st.composite
def outlines(draw) -> Outline:
    base = draw(WORDS.filter(lambda name: base_problem(name) is None))
    teams = draw(
        st.lists(WORDS.filter(lambda name: team_problem(name) is None and name != base), min_size=1, max_size=3)
    )
    taken = {base, *teams}
    tiers: list[NewTier] = []
    for name in draw(st.lists(WORDS.filter(lambda name: tier_problem(name) is None), max_size=5, unique=True)):
        if name not in taken:
            parent = draw(st.sampled_from([base, *(tier.name for tier in tiers)]))
            tiers.append(NewTier(name, parent, draw(st.sampled_from(teams)), role_of(name)))
    return Outline(
        chain=draw(WORDS.filter(lambda name: chain_problem(name) is None)),
        base=base,
        source=draw(SOURCES),
        team=teams[0],
        tiers=tuple(draw(st.permutations(tiers))),
        registry=draw(st.sampled_from([None, "registry.example.org/shop", "localhost:5000/a/b"])),
        ci=draw(st.sampled_from([None, "github", "gitlab", "jenkins", "tekton"])),
    )


@given(outlines())
def test_the_inventory_room_reads_every_project(wanted):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "project")
        write_new(folder, project_files(wanted))
        world = World(folder, inventory=INVENTORY)
        inventory = world.planner().inventory
        chain = inventory.chain
        assert inventory.name == wanted.chain
        assert {tier.name: (tier.parent, tier.team, tier.role) for tier in chain} == {
            wanted.base: (None, wanted.team, None),
            **{tier.name: (tier.parent, tier.team, tier.role) for tier in wanted.tiers},
        }
        assert {tier.image for tier in chain} == {f"{wanted.image_prefix}/{tier.name}" for tier in chain}
        source = chain[wanted.base].source
        assert (type(source), source.suite if isinstance(source, Bootstrap) else source.reference) == (
            type(wanted.source),
            wanted.source.suite if isinstance(wanted.source, Bootstrap) else wanted.source.reference,
        )
        for tier in wanted.tiers:
            assert read_role(tier.name, tier.role, folder / "inventory").tests is not None


def test_every_default_is_in_the_specification():
    files = project_files(outline("http-server:base"))
    options = yaml.safe_load(files["roles/http_server/meta/argument_specs.yml"])["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load(files["roles/http_server/defaults/main.yml"])
    assert {name: option["default"] for name, option in options.items()} == defaults
    assert all(name in files["roles/http_server/README.md"] for name in options)


@pytest.mark.parametrize(
    ("tiers", "other", "message"),
    [
        (["Web:base"], {}, "the tier is 'Web'; expected .* such as httpd-php"),
        (["web_1:base"], {}, "the tier is 'web_1'"),
        (["-web:base"], {}, "the tier is '-web'"),
        ([f"{'a' * 65}:base"], {}, "expected at most 64"),
        (["tier:base"], {}, "its variables would look like those of Tierwright or Ansible"),
        (["ansible-x:base"], {}, "its variables would look like those of Tierwright or Ansible"),
        (["web:core"], {}, "tier 'web': tier_parent is 'core', which is not a host of the group 'tiers'"),
        (["a:b", "b:a"], {}, "tier_parent leads back to the tier itself"),
        (["web:base", "web:base"], {}, "tier 'web' occurs twice"),
        (["operations:base"], {}, "'operations' is a tier and a team"),
        (["web:base:my-team"], {}, "the team is 'my-team'"),
        (["web:base:tiers"], {}, "the team is 'tiers'"),
        ([], {"chain": "My Shop"}, "the name of the chain is 'My Shop'"),
        ([], {"chain": "a/b"}, "the name of the chain is 'a/b'"),
        ([], {"base": "localhost"}, "the base is 'localhost'"),
        ([], {"base": "a/b"}, "the base is 'a/b'"),
        ([], {"source": Bootstrap("Bookworm")}, "the suite is 'Bookworm'; expected a code name"),
        ([], {"source": Pull("debian:12")}, "the image is 'debian:12'; expected an image by digest"),
        ([], {"source": Follow("core")}, "the followed image is 'core'"),
        ([], {"source": Follow("r.example.org/core", "release-20260101T000000Z")}, "the followed tag is"),
        ([], {"registry": "shop"}, "the registry is 'shop'"),
        (["web:base"], {"registry": f"r.example.org/{'a' * 240}"}, "too long for the name of an image"),
    ],
)
def test_a_wrong_name_is_refused(tiers, other, message):
    with pytest.raises(ChainError, match=message):
        check_outline(outline(*tiers, **other))


@pytest.mark.parametrize("text", ["web", "web:", ":base", "web:base:team:more", "web::team", ""])
def test_a_tier_of_another_form_is_refused(text):
    with pytest.raises(UsageError, match="expected NAME:PARENT or NAME:PARENT:TEAM"):
        read_new_tier(text, "operations")


@pytest.mark.parametrize("text", ["", ":team", "base:", "a:b:c"])
def test_a_base_of_another_form_is_refused(text):
    with pytest.raises(UsageError, match="expected NAME or NAME:TEAM"):
        read_base(text, "operations")


def test_parents_come_before_children_in_the_inventory():
    shuffled = outline("app:web", "web:core", "core:base")
    assert [tier.name for tier in sort_tiers(shuffled)] == ["core", "web", "app"]
    text = project_files(shuffled)[INVENTORY]
    assert [tier.name for tier in list_tiers(yaml.safe_load(text))] == ["base", "core", "web", "app"]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/srv/shop", "shop"),
        ("/srv/shop/inventories/production", "shop-production"),
        ("/srv", None),
        ("/My Shop", None),
    ],
)
def test_the_folder_names_the_chain(folder, name):
    assert default_name(Path(folder)) == name
