"""Which tiers pictures show."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.model import STATES, ReportTier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.pages import (
    MAX_BOXES,
    MAX_BOXES_AROUND,
    Family,
)


@st.composite
def forests(draw):
    # One draw for the whole forest: hypothesis takes seconds over hundreds of them.
    random = draw(st.randoms(use_true_random=True))
    tiers = []
    for number in range(draw(st.integers(1, 300))):
        parent = random.randrange(number) if number and random.random() < random.choice((0.1, 0.5, 0.99)) else None
        tiers.append(ReportTier(f"t{number}", f"t{number}", parent=parent, state=random.choice(["", *STATES])))
    return tiers


def named(tiers, shown):
    return [tiers[each.tier].name for each in shown]


@given(forests())
def test_everything_is_shown_or_counted(tiers):
    family = Family(tiers)
    shown = family.overview()
    assert len(shown) + sum(sum(each.hidden.values()) for each in shown) == len(tiers)
    assert len(shown) <= max(MAX_BOXES, len(family.roots))
    for number, each in enumerate(shown):
        parent = tiers[each.tier].parent
        assert (each.parent is None) == (parent is None)
        if each.parent is not None:
            assert each.parent < number
            assert shown[each.parent].tier == parent


@given(forests(), st.data())
def test_around_a_tier_is_what_it_stands_on_and_what_stands_on_it(tiers, data):
    family, number = Family(tiers), data.draw(st.integers(0, len(tiers) - 1))
    shown = family.around(number)
    lineage = family.ancestors(number)
    assert [each.tier for each in shown][: len(lineage) + 1] == [*lineage, number]
    assert sum(each.parent is None for each in shown) == 1
    assert len(shown) <= MAX_BOXES_AROUND + len(lineage)


def test_a_small_chain_is_shown_whole():
    tiers = [ReportTier("a", "a"), ReportTier("b", "b", parent=0), ReportTier("c", "c", parent=1)]
    assert [(each.tier, each.parent, each.hidden) for each in Family(tiers).overview()] == [
        (0, None, {}),
        (1, 0, {}),
        (2, 1, {}),
    ]


def test_what_needs_attention_is_shown_first():
    """Four tiers carry forty each; there is room for those of one."""
    tiers = [ReportTier("base", "base")]
    for group in range(4):
        tiers.append(ReportTier(f"group{group}", "", parent=0))
        parent = len(tiers) - 1
        tiers += [ReportTier(f"leaf{group}.{number}", "", parent=parent) for number in range(40)]
    bad = next(number for number, tier in enumerate(tiers) if tier.name == "leaf2.30")
    tiers[bad].state = "stale"
    shown = Family(tiers).overview()
    assert "leaf2.30" in named(tiers, shown)
    assert {tiers[each.tier].name: each.hidden for each in shown if each.hidden} == {
        f"group{group}": {"": 40} for group in (0, 1, 3)
    }
    tiers[2].state = "failed"
    assert "leaf2.30" not in named(tiers, Family(tiers).overview())
