from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.rebuild_reasons import differences

PARTS = st.dictionaries(
    st.one_of(st.text(max_size=20), st.sampled_from(["parent", "team", "role/a/b", "elsewhere/x", "elsewhere/x/**"])),
    st.text(max_size=20),
    max_size=8,
)


@given(PARTS, PARTS, st.one_of(st.none(), st.integers(1, 6)))
def test_differences_are_listed_exactly_if_the_parts_differ(one, other, most):
    lines = list(differences(one, other, most=most))
    assert bool(lines) == (one != other)
    assert most is None or len(lines) <= most


def test_each_kind_of_difference_has_its_own_text():
    before = {
        "ansible-core": "2.19",
        "elsewhere/files/": "1",
        "elsewhere/files/motd.txt": "1",
        "elsewhere/roles/shared/**": "1",
        "epoch": "1",
        "input/debian bookworm-security": "1",
        "inputs-pin": "2026-11-01",
        "parent": "1",
        "role/web/tasks/main.yml": "1",
        "source": "1",
        "tags": "1",
        "team": "operations",
        "variable/old": "1",
    }
    now = {
        **dict.fromkeys(before, "2"),
        "ansible-core": "2.21",
        "inputs-pin": "2026-12-01",
        "team": "web",
        "role/web/files/new": "1",
    }
    del now["variable/old"]
    assert list(differences(before, now, parent="corebuild")) == [
        "ansible-core changed from 2.19 to 2.21",
        "list of files in folder files changed",
        "file files/motd.txt changed",
        "role roles/shared changed",
        "tier_epoch changed from 1 to 2",
        "outside input debian bookworm-security changed",
        "tier_inputs_pin changed from 2026-11-01 to 2026-12-01",
        "parent corebuild is a different image",
        "role web/files/new is new",
        "role web/tasks/main.yml changed",
        "source of the base changed",
        "choice of --tags and --skip-tags changed",
        "team changed from operations to web",
        "variable old was removed",
    ]


def test_a_plain_value_is_shown_when_it_is_added_or_removed():
    assert list(differences({}, {"epoch": "2"})) == ["tier_epoch is now 2"]
    assert list(differences({"epoch": "2"}, {})) == ["tier_epoch 2 was removed"]


def test_many_differences_are_summarised():
    before = {**{f"role/wordpress/files/{n:02}": "1" for n in range(16)}, "variable/x": "1", "parent": "1"}
    lines = list(differences(before, dict.fromkeys(before, "2"), most=6))
    assert lines[:2] == ["parent is a different image", "role wordpress/files/00 changed"]
    assert lines[-1] == "and 12 more files of role wordpress, 1 more variable"
    assert len(lines) == 6
