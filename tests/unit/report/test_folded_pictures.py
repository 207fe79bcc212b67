"""The tiers that a picture shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.family import (
    MAX_BOXES,
    MAX_BOXES_AROUND,
    Family,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.model import STATES, ReportTier


@st.composite
def forests(draw):
    # One draw for the whole forest: hypothesis takes seconds over hundreds of them.
    random = draw(st.randoms(use_true_random=True))
    tiers = []
    for number in range(draw(st.integers(1, 300))):
        parent = random.randrange(number) if number and random.random() < random.choice((0.1, 0.5, 0.99)) else None
        tiers.append(ReportTier(f"t{number}", f"t{number}", parent=parent, state=random.choice(["", *STATES])))
    return tiers


def names_of(tiers, shown):
    return [tiers[box.tier].name for box in shown]


@given(forests())
def test_every_tier_is_shown_or_counted(tiers):
    family = Family(tiers)
    shown = family.overview()
    assert len(shown) + sum(sum(box.hidden.values()) for box in shown) == len(tiers)
    assert len(shown) <= max(MAX_BOXES, len(family.roots))
    for number, box in enumerate(shown):
        parent = tiers[box.tier].parent
        assert (box.parent is None) == (parent is None)
        if box.parent is not None:
            assert box.parent < number
            assert shown[box.parent].tier == parent


@given(forests(), st.data())
def test_the_picture_around_a_tier_shows_its_ancestors_and_descendants(tiers, data):
    family, number = Family(tiers), data.draw(st.integers(0, len(tiers) - 1))
    shown = family.around(number)
    lineage = family.ancestors(number)
    assert [box.tier for box in shown][: len(lineage) + 1] == [*lineage, number]
    assert sum(box.parent is None for box in shown) == 1
    assert len(shown) <= MAX_BOXES_AROUND + len(lineage)


def test_a_small_chain_is_shown_completely():
    tiers = [ReportTier("a", "a"), ReportTier("b", "b", parent=0), ReportTier("c", "c", parent=1)]
    assert [(box.tier, box.parent, box.hidden) for box in Family(tiers).overview()] == [
        (0, None, {}),
        (1, 0, {}),
        (2, 1, {}),
    ]


def test_tiers_that_need_attention_are_shown_first():
    """Each of four tiers has forty children. The picture has room for the children of one."""
    tiers = [ReportTier("base", "base")]
    for group in range(4):
        tiers.append(ReportTier(f"group{group}", "", parent=0))
        parent = len(tiers) - 1
        tiers += [ReportTier(f"leaf{group}.{number}", "", parent=parent) for number in range(40)]
    bad = next(number for number, tier in enumerate(tiers) if tier.name == "leaf2.30")
    tiers[bad].state = "stale"
    shown = Family(tiers).overview()
    assert "leaf2.30" in names_of(tiers, shown)
    assert {tiers[box.tier].name: box.hidden for box in shown if box.hidden} == {
        f"group{group}": {"": 40} for group in (0, 1, 3)
    }
    tiers[2].state = "failed"
    assert "leaf2.30" not in names_of(tiers, Family(tiers).overview())
