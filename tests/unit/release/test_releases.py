"""Promotions and rollbacks in any order: what the tags tell of releases is what was released."""

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
def test_every_release_is_told_as_it_was(make_shop, steps, pace):
    shop = make_shop()
    for what, tiers in steps:
        shop.moment += timedelta(seconds=pace)  # a clock that stands, or goes back, makes no difference
        before = shop.state
        if what == "promote":
            shop.promote(*tiers)
        else:
            known = shop.releases.all
            wanted = known[what % len(known)] if known and isinstance(what, int) else None
            try:
                rollback = shop.back(wanted, tuple(tiers))
            except RunError:
                assert shop.state == before
                continue
            for name, image in before.items():
                expected = shop.truth[rollback.release].get(name, image) if name in tiers else image
                assert shop.state[name] == expected
                if image != expected:
                    assert shop.names[f"{name}:previous"] == image
        for release, state in shop.truth.items():
            for name in TIERS:
                assert shop.releases.at(name, release) == state.get(name)
        # What was taken back is not the release.
        for reference, image in shop.tag("withdrawn-").items():
            assert shop.state[reference.partition(":")[0]] != image


def test_a_promotion_names_the_release_and_the_image_before(shop):
    first = shop.promote(*TIERS)
    assert first == "release-20261124T093000Z"
    assert shop.tag("previous") == {}
    before = shop.state
    second = shop.promote("db")
    assert second == "release-20261124T093001Z"  # two in a second are told apart
    assert shop.tag("previous") == {"db:previous": before["db"]}
    assert set(shop.tag(second)) == {f"db:{second}"}


def test_back_and_forward(shop):
    for tiers in (tuple(TIERS), ("core", "php", "db"), ("db",)):
        shop.promote(*tiers)
        shop.moment += timedelta(hours=1)
    first, second, third = shop.releases.all
    last = shop.state
    assert [change.tier.name for change in shop.back().changes] == ["db"]
    assert shop.state == shop.truth[second]
    assert list(shop.tag("withdrawn-").values()) == [last["db"]]
    assert {change.tier.name for change in shop.back().changes} == {"core", "php", "db"}
    assert shop.state == shop.truth[first]
    with pytest.raises(
        RunError, match=f"there is no release before {first} to go back to; the releases are {third}, {second}, {first}"
    ):
        shop.back()
    shop.back(third)
    assert shop.state == last
    assert set(shop.tag("withdrawn-").values()) == {shop.truth[second]["db"]}


def test_a_release_after_a_rollback_says_what_stayed_back(shop):
    shop.promote(*TIERS)
    shop.promote("php", "db")
    shop.back()
    stayed = shop.state["php"]
    release = shop.promote("db")
    assert shop.releases.at("php", release) == stayed
    assert shop.releases.current(shop.chain) == release


def test_a_release_that_was_taken_back_is_passed_over(shop):
    first = shop.promote(*TIERS)
    shop.promote("db")
    shop.back()
    shop.promote("db")
    assert shop.back().release == first
    assert shop.state == shop.truth[first]


def test_a_tier_that_came_later_stays(shop):
    first = shop.promote("base", "core")
    shop.promote("php")
    assert shop.back(first).changes == ()
    assert shop.releases.current(shop.chain) == shop.releases.all[-1]


def test_some_tiers_go_back_to_what_they_were(shop):
    shop.promote(*TIERS)
    before = shop.state
    shop.promote("db")
    shop.promote("php")
    shop.back(selected=("db",))
    assert shop.state["db"] == before["db"]
    expected = r"do not all belong to the same release.*-e tier_release=…; the releases are release-"
    with pytest.raises(RunError, match=expected):
        shop.back()


def test_without_a_release_there_is_nothing_to_go_back_to(shop):
    with pytest.raises(RunError, match="no release to go back to yet"):
        shop.back()
    with pytest.raises(
        RunError, match="tier_release is 'release-1', but this chain has no such release; it has no releases"
    ):
        shop.back("release-1")


def test_an_unknown_release_is_told_with_the_known_ones(shop):
    for _ in range(12):
        shop.promote("db")
    expected = r"'latest', but this chain has no such release; the releases are release-\w+, .* and 2 older ones"
    with pytest.raises(RunError, match=expected):
        shop.back("latest")


def test_somebody_else_s_image_is_kept_as_previous_and_is_no_release(shop):
    shop.engine.add("sha256:theirs")
    shop.names["db:latest"] = shop.names["php:latest"] = "sha256:theirs"
    release = shop.promote("db")
    assert shop.names["db:previous"] == "sha256:theirs"
    assert set(shop.tag("release-")) == {f"db:{release}"}


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
def test_forms_of_tags_that_are_ours(tag, reserved):
    assert tags.is_reserved(tag) is reserved


def test_a_moment_is_told_by_its_tag():
    assert tags.moment(tags.release(START)) == tags.moment(tags.withdrawn(START)) == START
    assert tags.moment("release-20261399T999999Z") is None
