"""Which images of a chain are removed, and which are always kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.provenance import ChainImage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.pruning import (
    Needs,
    find_garbage,
    plan_prune,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.tag_transaction import move_all
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.claim import claim
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.owner import Home

TIERS = ("base", "core", "php", "db")


def prune(shop, keep, *, foreign=(), dropped=None, former=(), **needs):
    """Prune as the module does, on an engine that removes an image with its last tag. Returns the removed images."""
    images = [
        ChainImage(image, image.partition(":")[2].partition("-")[0], 1)
        for image in sorted(shop.images.keys() - set(foreign))
    ]
    names = shop.engine.images.snapshot().names
    needed = Needs(**{"releases": keep, "used": (), "wanted": (), "parents": {}, **needs})
    pruning = plan_prune(images, tuple(shop.chain), {*TIERS, *former}, names, needed)
    assert dropped is None or pruning.dropped_releases == dropped
    before = dict(shop.names)
    move_all(shop.engine, "demo", pruning.moves)
    nameless = set(before.values()) - set(shop.names.values())
    assert nameless <= {image.id for image in pruning.images}  # an image that stays has a name
    for image in pruning.images:
        shop.images.pop(image.id, None)
    assert set(shop.names.values()) <= shop.images.keys()
    return {image.id for image in pruning.images}


def test_images_that_failed_their_tests_are_removed(shop):
    shop.promote("base")
    shop.engine.add("sha256:php-failed")
    shop.engine.add("sha256:base-failed")
    shop.names |= {f"{name}:failed-{0:016x}": f"sha256:{name}-failed" for name in ("php", "base")}
    failed = {"sha256:php-failed", "sha256:base-failed"}
    assert prune(shop, 3, foreign=("sha256:base-1",), wanted=["sha256:php-failed"]) == failed
    assert shop.tagged("failed-") == {}


def test_the_tested_tag_of_a_kept_image_stays(shop):
    shop.promote("base")
    shop.names[f"base:tested-{0:012x}-{0:012x}"] = "sha256:base-1"
    assert prune(shop, 3) == set()
    assert shop.tagged("tested-") == {f"base:tested-{0:012x}-{0:012x}": "sha256:base-1"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.lists(st.sampled_from(TIERS), min_size=1, unique=True)), min_size=1, max_size=12
    ),
    keep=st.integers(1, 4),
)
def test_kept_releases_are_complete_and_everything_else_is_removed(make_shop, steps, keep):
    shop = make_shop()
    for is_promotion, tiers in steps:
        shop.moment += timedelta(minutes=1)
        if is_promotion:
            shop.promote(*tiers)
        else:
            try:
                shop.roll_back(selected=TIERS)
            except RunError:
                continue
    releases = shop.releases.all
    current = shop.releases.current(shop.chain)
    kept = releases[max(releases.index(current) - keep + 1, 0) :] if releases else ()
    before = shop.state
    prune(shop, keep, dropped=[release for release in releases if release not in kept])
    assert shop.state == before
    assert shop.releases.all == kept
    for release in kept:
        for name in TIERS:
            assert shop.releases.at(name, release) == shop.state_at[release].get(name)
    needed = {image for release in kept for image in shop.state_at[release].values()} | set(before.values())
    needed |= {image for name, image in shop.names.items() if name.endswith(":previous")}
    assert shop.images.keys() == needed
    assert prune(shop, keep) == set()  # there is nothing left to remove


@pytest.fixture
def old(shop):
    """A chain with three releases of `db`, and the image of the first one."""
    shop.promote(*TIERS)
    first = shop.state["db"]
    shop.promote("db")
    shop.promote("db")
    return shop, first


def test_an_old_image_is_removed(old):
    shop, first = old
    assert prune(shop, 2) == {first}


def test_a_tag_of_a_user_keeps_an_image(old):
    shop, first = old
    shop.names["db:stable"] = first
    assert prune(shop, 1) == set()


def test_any_tag_in_a_different_repository_keeps_an_image(old):
    shop, first = old
    shop.names["backup/db:release-20260101T000000Z"] = first
    assert prune(shop, 1) == set()
    assert "backup/db:release-20260101T000000Z" in shop.names


def test_the_image_of_a_container_stays(old):
    shop, first = old
    assert prune(shop, 1, used={first}) == set()


def test_an_image_that_the_next_run_would_keep_stays(old):
    shop, first = old
    assert prune(shop, 1, wanted={first}) == set()


def test_the_ancestors_of_a_kept_image_stay(old):
    shop, first = old
    assert prune(shop, 1, parents={shop.state["php"]: "sha256:middle", "sha256:middle": first}) == set()


def test_the_parent_of_an_image_of_a_different_chain_stays(old):
    shop, first = old
    assert prune(shop, 1, parents={"sha256:elsewhere": first}) == set()


def test_the_parent_of_a_removed_image_is_removed(old):
    shop, first = old
    shop.engine.add("sha256:db-nameless")
    assert prune(shop, 1, parents={"sha256:db-nameless": first}) == {first, "sha256:db-nameless"}


def test_a_foreign_image_without_a_name_stays(old):
    shop, _first = old
    shop.engine.add("sha256:theirs")
    assert "sha256:theirs" not in prune(shop, 1, foreign={"sha256:theirs"})


def test_an_unused_candidate_is_removed(shop):
    shop.promote(*TIERS)
    shop.engine.add("sha256:db-candidate")
    shop.names["db:key-00000000000000ff"] = "sha256:db-candidate"
    assert prune(shop, 3) == {"sha256:db-candidate"}


def test_old_images_of_a_removed_tier_are_removed_and_its_release_stays(shop):
    for number in (1, 2):
        shop.engine.add(f"sha256:gone-{number}")
        shop.names[f"gone:key-000000000000000{number}"] = f"sha256:gone-{number}"
    shop.names["gone:latest"] = "sha256:gone-2"
    assert prune(shop, 3) == set()  # no record shows that the repository belonged to this chain
    assert prune(shop, 3, former=["gone"]) == {"sha256:gone-1"}


def test_an_image_that_a_run_holds_stays_until_the_run_has_ended(shop):
    """The run of a different user has sealed an image and tests it. Its journal is not in this state folder."""
    shop.promote(*TIERS)
    shop.engine.add("sha256:db-theirs")
    shop.names["db:building-20261124T093000Z-0123abcd"] = "sha256:db-theirs"
    assert prune(shop, 3) == set()
    assert "db:building-20261124T093000Z-0123abcd" in shop.names
    assert prune(shop, 3, abandoned=["20261124T093000Z-0123abcd"]) == {"sha256:db-theirs"}
    assert shop.tagged("building-") == {}


def test_prune_keeps_the_releases_of_other_chains(shop):
    """Their images have the label of the same chain, and their tags have the same form."""
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
    assert shop.releases.all == tuple(shop.state_at)


def test_nothing_is_removed_from_a_chain_without_a_release(shop):
    assert prune(shop, 3) == set()


FOLLOWED = "r.example.org/ops/corebuild"


def test_images_of_other_teams_are_removed_when_no_kept_release_needs_them(shop):
    core = Tier("core", "operations", FOLLOWED, "latest", source=Follow(FOLLOWED))
    own = {labels.CHAIN: "ops", labels.TIER: "core"}
    for number in range(1, 6):
        release, image = f"{FOLLOWED}:release-2026112{number}T000000Z", f"sha256:core-{number}"
        shop.engine.add(
            image, own, release, f"{FOLLOWED}:key-{number:016x}", created_by="tierwright: tier core: role core"
        )
    shop.names[f"{FOLLOWED}:latest"] = "sha256:core-5"
    shop.names[f"{FOLLOWED}:1.0"] = "sha256:core-1"  # a user pulled it
    shop.engine.add("sha256:theirs", own, f"{FOLLOWED}:key-00000000000000ff", created_by="RUN something")
    home = Home("/inv", "here", "me", ("web web",))
    garbage = find_garbage(shop.engine, "demo", [core], home, keep=2, wanted=["sha256:core-5"])
    assert {image.id for image in garbage.pruning.images} == {"sha256:core-2", "sha256:core-3"}
    claim(shop.engine, "ops", Home("/ops", "here", "them", (f"core {FOLLOWED}",)))
    garbage = find_garbage(shop.engine, "demo", [core], home, keep=2, wanted=["sha256:core-5"])
    assert not garbage.pruning.images  # the chain that builds them here prunes them
