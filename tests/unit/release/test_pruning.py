"""What is removed of a chain, and what never is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.provenance import ChainImage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.pruning import Needs, plan_prune
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.tag_transaction import move_all

TIERS = ("base", "core", "php", "db")


def prune(shop, keep, *, but=(), dropped=None, former=(), **needs):
    """Prune as `garbage` does, on an engine on which an image's last tag takes it along."""
    own = [
        ChainImage(image, image.partition(":")[2].partition("-")[0], 1) for image in sorted(shop.held.keys() - set(but))
    ]
    names = shop.engine.images.snapshot().names
    needed = Needs(**{"releases": keep, "used": (), "wanted": (), "parents": {}, **needs})
    pruning = plan_prune(own, tuple(shop.chain), {*TIERS, *former}, names, needed)
    assert dropped is None or pruning.dropped_releases == dropped
    before = dict(shop.names)
    move_all(shop.engine, "demo", pruning.moves)
    nameless = set(before.values()) - set(shop.names.values())
    assert nameless <= {each.id for each in pruning.images}  # what stays keeps a name
    for each in pruning.images:
        shop.held.pop(each.id, None)
    assert set(shop.names.values()) <= shop.held.keys()
    return {each.id for each in pruning.images}


def test_what_failed_its_tests_goes_also_where_nothing_ever_passed(shop):
    shop.promote("base")
    shop.engine.add("sha256:php-failed")
    shop.engine.add("sha256:base-failed")
    shop.names |= {f"{name}:failed-{0:016x}": f"sha256:{name}-failed" for name in ("php", "base")}
    failed = {"sha256:php-failed", "sha256:base-failed"}
    assert prune(shop, 3, but=("sha256:base-1",), wanted=["sha256:php-failed"]) == failed
    assert shop.tag("failed-") == {}


def test_what_says_which_tests_a_kept_image_passed_stays(shop):
    shop.promote("base")
    shop.names[f"base:tested-{0:012x}-{0:012x}"] = "sha256:base-1"
    assert prune(shop, 3) == set()
    assert shop.tag("tested-") == {f"base:tested-{0:012x}-{0:012x}": "sha256:base-1"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.lists(st.sampled_from(TIERS), min_size=1, unique=True)), min_size=1, max_size=12
    ),
    keep=st.integers(1, 4),
)
def test_releases_that_are_kept_are_whole_and_nothing_else_stays(make_shop, steps, keep):
    shop = make_shop()
    for is_promotion, tiers in steps:
        shop.moment += timedelta(minutes=1)
        if is_promotion:
            shop.promote(*tiers)
        else:
            try:
                shop.back(selected=TIERS)
            except RunError:
                continue
    releases = shop.releases.all
    current = shop.releases.current(shop.chain)
    kept = releases[max(releases.index(current) - keep + 1, 0) :] if releases else ()
    before = shop.state
    prune(shop, keep, dropped=[each for each in releases if each not in kept])
    assert shop.state == before
    assert shop.releases.all == kept
    for release in kept:
        for name in TIERS:
            assert shop.releases.at(name, release) == shop.truth[release].get(name)
    needed = {image for release in kept for image in shop.truth[release].values()} | set(before.values())
    needed |= {image for name, image in shop.names.items() if name.endswith(":previous")}
    assert shop.held.keys() == needed
    assert prune(shop, keep) == set()  # there is nothing left to remove


@pytest.fixture
def old(shop):
    """A chain with three releases of `db`; the first one's image."""
    shop.promote(*TIERS)
    first = shop.state["db"]
    shop.promote("db")
    shop.promote("db")
    return shop, first


def test_an_old_image_goes(old):
    shop, first = old
    assert prune(shop, 2) == {first}


def test_a_name_that_somebody_gave_keeps_an_image(old):
    shop, first = old
    shop.names["db:stable"] = first
    assert prune(shop, 1) == set()


def test_a_name_in_another_repository_keeps_an_image_whatever_it_looks_like(old):
    shop, first = old
    shop.names["backup/db:release-20260101T000000Z"] = first
    assert prune(shop, 1) == set()
    assert "backup/db:release-20260101T000000Z" in shop.names


def test_what_a_container_was_made_from_stays(old):
    shop, first = old
    assert prune(shop, 1, used={first}) == set()


def test_what_the_next_run_would_take_stays(old):
    shop, first = old
    assert prune(shop, 1, wanted={first}) == set()


def test_what_images_that_stay_stand_on_stays(old):
    shop, first = old
    assert prune(shop, 1, parents={shop.state["php"]: "sha256:middle", "sha256:middle": first}) == set()


def test_what_another_chain_s_images_stand_on_stays(old):
    shop, first = old
    assert prune(shop, 1, parents={"sha256:elsewhere": first}) == set()


def test_what_images_that_go_stand_on_goes(old):
    shop, first = old
    shop.engine.add("sha256:db-nameless")
    assert prune(shop, 1, parents={"sha256:db-nameless": first}) == {first, "sha256:db-nameless"}


def test_what_is_not_ours_stays_even_without_a_name(old):
    shop, _first = old
    shop.engine.add("sha256:theirs")
    assert "sha256:theirs" not in prune(shop, 1, but={"sha256:theirs"})


def test_a_candidate_that_nobody_wants_goes(shop):
    shop.promote(*TIERS)
    shop.engine.add("sha256:db-candidate")
    shop.names["db:key-00000000000000ff"] = "sha256:db-candidate"
    assert prune(shop, 3) == {"sha256:db-candidate"}


def test_an_image_of_a_tier_that_is_no_more_goes_but_its_release_stays(shop):
    for number in (1, 2):
        shop.engine.add(f"sha256:gone-{number}")
        shop.names[f"gone:key-000000000000000{number}"] = f"sha256:gone-{number}"
    shop.names["gone:latest"] = "sha256:gone-2"
    assert prune(shop, 3) == set()  # nothing says that the repository was ever this chain's
    assert prune(shop, 3, former=["gone"]) == {"sha256:gone-1"}


def test_what_a_run_holds_stays_until_it_is_over(shop):
    """Another user's run, whose journal nobody here knows, has sealed an image and tests it."""
    shop.promote(*TIERS)
    shop.engine.add("sha256:db-theirs")
    shop.names["db:building-20261124T093000Z-0123abcd"] = "sha256:db-theirs"
    assert prune(shop, 3) == set()
    assert "db:building-20261124T093000Z-0123abcd" in shop.names
    assert prune(shop, 3, abandoned=["20261124T093000Z-0123abcd"]) == {"sha256:db-theirs"}
    assert shop.tag("building-") == {}


def test_the_releases_of_other_chains_are_no_business_of_prune(shop):
    """Their images are labelled with the same chain, and their tags look the same."""
    shop.promote(*TIERS)
    shop.engine.add("sha256:web-1")
    shop.engine.add("sha256:web-2")
    theirs = {
        "web:latest": "sha256:web-2",
        "web:key-00000000000000f1": "sha256:web-1",
        "web:key-00000000000000f2": "sha256:web-2",
        "web:release-20200101T000000Z": "sha256:web-1",
        "web:release-20990101T000000Z": "sha256:web-2",
    }
    shop.names |= theirs
    assert prune(shop, 1, dropped=[]) == set()
    assert {ref: image for ref, image in shop.names.items() if ref.startswith("web:")} == theirs
    assert shop.releases.all == tuple(shop.truth)


def test_a_chain_without_a_release_has_nothing_to_lose(shop):
    assert prune(shop, 3) == set()
