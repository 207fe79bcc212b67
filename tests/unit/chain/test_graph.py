from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Bootstrap, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError


@pytest.fixture
def demo(make_tier):
    """The demo chain, with children before their parents, as an inventory may list them."""
    return Chain(
        [
            make_tier("wordpress", "httpd-php"),
            make_tier("httpd-php", "corebuild"),
            make_tier("mariadb", "corebuild"),
            make_tier("corebuild", "base"),
            make_tier("base"),
        ]
    )


def test_parents_come_before_children_in_the_order_of_a_chain(demo):
    assert demo.order[:2] == ("base", "corebuild")
    assert demo.order.index("httpd-php") < demo.order.index("wordpress")
    assert len(demo) == 5


def test_children_descendants_and_ancestors(demo):
    assert demo.children("corebuild") == ("httpd-php", "mariadb")
    assert demo.children("wordpress") == ()
    assert set(demo.descendants("corebuild")) == {"httpd-php", "mariadb", "wordpress"}
    assert demo.descendants("mariadb") == ()
    assert demo.ancestors("wordpress") == ("httpd-php", "corebuild", "base")
    assert demo.ancestors("base") == ()


def test_an_unknown_parent_is_reported_with_the_most_similar_tier(make_tier):
    with pytest.raises(ChainError, match=r"tier 'web': tier_parent is 'corebuid'.*did you mean 'corebuild'\?"):
        Chain([make_tier("corebuild"), make_tier("web", "corebuid")])


def test_an_unknown_parent_without_similar_tier_lists_all_tiers(make_tier):
    with pytest.raises(ChainError, match=r"tier 'web': tier_parent is 'xyzzy'.*tiers are: base, web"):
        Chain([make_tier("base"), make_tier("web", "xyzzy")])


@pytest.fixture
def shop(make_tier):
    """A chain whose application is tested with a database, and whose office is tested with the application."""
    return Chain(
        [
            make_tier("office", "base", neighbours=("app",)),
            make_tier("app", "web", neighbours=("db",)),
            make_tier("web", "base"),
            make_tier("db", "base"),
            make_tier("base"),
        ]
    )


def test_neighbours_come_before_the_tiers_that_are_tested_with_them(shop):
    assert shop.order.index("db") < shop.order.index("app") < shop.order.index("office")


def test_tiers_that_are_tested_with_a_tier_depend_on_it(shop):
    assert shop.dependents("db") == ("app", "office")
    assert shop.dependents("web") == ("app", "office")
    assert set(shop.dependents("base")) == {"office", "web", "db", "app"}
    assert shop.dependents("office") == ()
    assert shop.descendants("db") == ()


def test_an_unknown_neighbour_is_reported_with_the_most_similar_tier(make_tier):
    with pytest.raises(ChainError, match=r"tier 'web': tier_neighbours has 'bse'.*did you mean 'base'\?"):
        Chain([make_tier("base"), make_tier("web", "base", neighbours=("bse",))])


@pytest.mark.parametrize("neighbour", ["app", "web"])
def test_a_tier_cannot_be_tested_with_itself_or_a_descendant(make_tier, neighbour):
    with pytest.raises(ChainError, match=r"tier_neighbours lead back to the tier itself \((\w+)( -> \w+)* -> \1\)"):
        Chain([make_tier("base"), make_tier("web", "base", neighbours=(neighbour,)), make_tier("app", "web")])


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_cycle_is_reported_as_a_path(make_tier, length):
    names = [f"t{number}" for number in range(length)]
    tiers = [make_tier(name, names[(number + 1) % length]) for number, name in enumerate(names)]
    expected = r"tier 't\d': tier_parent leads back to the tier itself \((t\d)( -> t\d)* -> \1\)"
    with pytest.raises(ChainError, match=expected):
        Chain([make_tier("base"), *tiers])


def test_the_path_of_a_cycle_follows_parents(make_tier):
    with pytest.raises(ChainError) as caught:
        Chain([make_tier("a", "b"), make_tier("b", "c"), make_tier("c", "a")])
    path = str(caught.value).partition("(")[2].partition(")")[0].split(" -> ")
    parents = {"a": "b", "b": "c", "c": "a"}
    assert all(parents[child] == parent for child, parent in pairwise(path))


def test_duplicate_names_are_rejected(make_tier):
    with pytest.raises(ChainError, match="tier 'base' occurs twice"):
        Chain([make_tier("base"), make_tier("base")])


def test_two_tiers_with_the_same_image_name_are_rejected(make_tier):
    with pytest.raises(ChainError, match=r"tier 'b': tier_image is 'same', which is also the tier_image of tier 'a'"):
        Chain([make_tier("a", image="same"), make_tier("b", "a", image="same")])


def test_all_problems_are_reported_together(make_tier):
    with pytest.raises(ChainError) as caught:
        Chain([make_tier("base"), make_tier("a", "nowhere"), make_tier("b", "nirgends"), make_tier("base")])
    assert len(str(caught.value).splitlines()) == 3


def test_a_chain_can_have_two_bases(make_tier):
    chain = Chain(
        [make_tier("debian12"), make_tier("debian13"), make_tier("a", "debian12"), make_tier("b", "debian13")]
    )
    assert chain.descendants("debian12") == ("a",)
    assert chain.descendants("debian13") == ("b",)


@given(st.lists(st.integers(0, 10**6), max_size=60), st.randoms())
def test_any_forest_is_ordered_parents_first(picks, random):
    tiers = [Tier("t0", "ops", "t0", "latest", source=Bootstrap("bookworm"))]
    for number, pick in enumerate(picks, 1):
        name, parent = f"t{number}", f"t{pick % number}"
        tiers.append(Tier(name, "ops", name, "latest", parent=parent, role="r"))
    random.shuffle(tiers)
    chain = Chain(tiers)
    position = {name: index for index, name in enumerate(chain.order)}
    assert len(position) == len(tiers)
    assert all(tier.parent is None or position[tier.parent] < position[tier.name] for tier in tiers)
    for tier in tiers:
        assert all(tier.name in chain.ancestors(child) for child in chain.descendants(tier.name))


def test_a_chain_can_have_a_thousand_tiers(make_tier):
    tiers = [make_tier("t0"), *(make_tier(f"t{number}", f"t{(number - 1) // 4}") for number in range(1, 1000))]
    chain = Chain(reversed(tiers))
    assert len(chain.descendants("t0")) == 999
    assert set(chain.descendants("t1")[:4]) == {"t5", "t6", "t7", "t8"}
    assert sum(len(chain.descendants(name)) for name in chain.order) == sum(
        len(chain.ancestors(name)) for name in chain.order
    )
