"""Promotions and rollbacks in any order: the tags always describe the true releases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError

TIERS = ("base", "core", "php", "db")
START = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


some_tiers = st.lists(st.sampled_from(list(TIERS)), min_size=1, unique=True)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("promote"), some_tiers),
        st.tuples(st.just("back"), st.just(list(TIERS))),
        st.tuples(st.just("back"), some_tiers),
        st.tuples(st.integers(0, 20), st.just(list(TIERS))),
    ),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=steps, pace=st.sampled_from([-5, 0, 60]))
def test_every_release_can_be_read_from_the_tags(make_shop, steps, pace):
    shop = make_shop()
    for step, tiers in steps:
        shop.moment += timedelta(seconds=pace)  # a clock that stops or goes back makes no difference
        before = shop.state
        if step == "promote":
            shop.promote(*tiers)
        else:
            releases = shop.releases.all
            wanted = releases[step % len(releases)] if releases and isinstance(step, int) else None
            try:
                rollback = shop.roll_back(wanted, tuple(tiers))
            except RunError:
                assert shop.state == before
                continue
            for name, image in before.items():
                expected = shop.state_at[rollback.release].get(name, image) if name in tiers else image
                assert shop.state[name] == expected
                if image != expected:
                    assert shop.names[f"{name}:previous"] == image
        for release, state in shop.state_at.items():
            for name in TIERS:
                assert shop.releases.at(name, release) == state.get(name)
        # A withdrawn image is not the current release.
        for reference, image in shop.tagged("withdrawn-").items():
            assert shop.state[reference.partition(":")[0]] != image


def test_a_promotion_tags_the_release_and_the_previous_image(shop):
    first = shop.promote(*TIERS)
    assert first == "release-20261124T093000Z"
    assert shop.tagged("previous") == {}
    before = shop.state
    second = shop.promote("db")
    assert second == "release-20261124T093001Z"  # two releases within one second have different names
    assert shop.tagged("previous") == {"db:previous": before["db"]}
    assert set(shop.tagged(second)) == {f"db:{second}"}


def test_rolling_back_and_forward(shop):
    for tiers in (tuple(TIERS), ("core", "php", "db"), ("db",)):
        shop.promote(*tiers)
        shop.moment += timedelta(hours=1)
    first, second, third = shop.releases.all
    last = shop.state
    assert [change.tier.name for change in shop.roll_back().changes] == ["db"]
    assert shop.state == shop.state_at[second]
    assert list(shop.tagged("withdrawn-").values()) == [last["db"]]
    assert {change.tier.name for change in shop.roll_back().changes} == {"core", "php", "db"}
    assert shop.state == shop.state_at[first]
    with pytest.raises(
        RunError, match=f"there is no release before {first} to go back to; the releases are {third}, {second}, {first}"
    ):
        shop.roll_back()
    shop.roll_back(third)
    assert shop.state == last
    assert set(shop.tagged("withdrawn-").values()) == {shop.state_at[second]["db"]}


def test_a_release_after_a_rollback_contains_the_images_that_stayed_back(shop):
    shop.promote(*TIERS)
    shop.promote("php", "db")
    shop.roll_back()
    image = shop.state["php"]
    release = shop.promote("db")
    assert shop.releases.at("php", release) == image
    assert shop.releases.current(shop.chain) == release


def test_a_rollback_skips_withdrawn_releases(shop):
    first = shop.promote(*TIERS)
    shop.promote("db")
    shop.roll_back()
    shop.promote("db")
    assert shop.roll_back().release == first
    assert shop.state == shop.state_at[first]


def test_a_rollback_keeps_a_tier_that_was_released_later(shop):
    first = shop.promote("base", "core")
    shop.promote("php")
    assert shop.roll_back(first).changes == ()
    assert shop.releases.current(shop.chain) == shop.releases.all[-1]


def test_single_tiers_can_be_rolled_back(shop):
    shop.promote(*TIERS)
    before = shop.state
    shop.promote("db")
    shop.promote("php")
    shop.roll_back(selected=("db",))
    assert shop.state["db"] == before["db"]
    expected = r"do not all belong to the same release.*-e tier_release=…; the releases are release-"
    with pytest.raises(RunError, match=expected):
        shop.roll_back()


def test_a_rollback_without_a_release_is_rejected(shop):
    with pytest.raises(RunError, match="no release to go back to yet"):
        shop.roll_back()
    with pytest.raises(
        RunError, match="tier_release is 'release-1', but this chain has no such release; it has no releases"
    ):
        shop.roll_back("release-1")


def test_an_unknown_release_is_rejected_with_a_list_of_releases(shop):
    for _ in range(12):
        shop.promote("db")
    expected = r"'latest', but this chain has no such release; the releases are release-\w+, .* and 2 older ones"
    with pytest.raises(RunError, match=expected):
        shop.roll_back("latest")


def test_a_foreign_image_is_tagged_previous_and_is_not_a_release(shop):
    shop.engine.add("sha256:theirs")
    shop.names["db:latest"] = shop.names["php:latest"] = "sha256:theirs"
    release = shop.promote("db")
    assert shop.names["db:previous"] == "sha256:theirs"
    assert set(shop.tagged("release-")) == {f"db:{release}"}


@pytest.mark.parametrize(
    ("tag", "reserved"),
    [
        ("latest", False),
        ("previous", True),
        ("key-0123456789abcdef", True),
        ("key-0123456789ABCDEF", False),
        ("key-west", False),
        ("release-1.2", False),
        ("release-20261124T093000Z", True),
        ("withdrawn-20261124T093000Z", True),
        ("withdrawn-20261124T093000Z-2", False),
    ],
)
def test_reserved_forms_of_tags(tag, reserved):
    assert tags.is_reserved(tag) is reserved


def test_the_time_of_a_release_can_be_read_from_its_tag():
    assert tags.moment(tags.release(START)) == tags.moment(tags.withdrawn(START)) == START
    assert tags.moment("release-20261399T999999Z") is None
