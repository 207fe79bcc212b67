"""A tier is added to the text of an inventory, and nothing else of the text changes."""

from __future__ import annotations

import difflib
import textwrap

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import UsageError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project.inventory_text import (
    add_tier,
    list_tiers,
    read_inventory_text,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.project.outline import NewTier

PROXY = NewTier("proxy", "core", "middleware", "proxy")

CASES = {
    "a team with hosts": (
        """\
        # first
        tiers:
          children:
            operations:
              hosts:
                base: {tier_bootstrap: {suite: bookworm}}   # a base
                core:
                  tier_parent: base  # its parent
            middleware:
              hosts:
                # the web server
                web:
                  tier_parent: core
                  text: |
                    two
                    lines
              vars:
                a: "quoted"   # kept

        other: {}
        """,
        """\
        +        proxy:
        +          tier_parent: core
        """,
    ),
    "a team without a group": (
        """\
        tiers:
            children:
                operations:
                    hosts:
                        core: {tier_pull: x}
        # last
        """,
        """\
        +        middleware:
        +            hosts:
        +                proxy:
        +                    tier_parent: core
        """,
    ),
    "hosts without a value": (
        """\
        all:
          children:
            tiers:
              children:
                middleware:
                  hosts:   # none yet
        """,
        """\
        +            proxy:
        +              tier_parent: core
        """,
    ),
    "no children": (
        """\
        tiers:
          hosts:
            core:
        """,
        """\
        +  children:
        +    middleware:
        +      hosts:
        +        proxy:
        +          tier_parent: core
        """,
    ),
    "the end of the file without a line feed": (
        "tiers:\n  children:\n    middleware:\n      hosts:\n        core:\n          tier_epoch: 1",
        """\
        +        proxy:
        +          tier_parent: core
        """,
    ),
    "a secret": (
        """\
        tiers:
          children:
            middleware:
              hosts:
                core:
                  secret: !vault |
                    $ANSIBLE_VAULT;1.1;AES256
                    6162

              vars: {x: 1}
        """,
        """\
        +        proxy:
        +          tier_parent: core
        """,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_only_lines_are_added(case):
    text, added = (textwrap.dedent(part) for part in CASES[case])
    after = add_tier(text, PROXY)
    diff = [line for line in difflib.ndiff(text.splitlines(), after.splitlines()) if line[0] != " "]
    assert [line[0] + line[2:] for line in diff if line[0] != "?"] == added.splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tiers: {children: {middleware: {hosts: {core: {}}}}}\n", "{core: {}, proxy: {tier_parent: core}}"),
        ("tiers:\n  children:\n    middleware:\n      hosts: {}\n", "hosts: {proxy: {tier_parent: core}}"),
        ("tiers: {hosts: {core: {}}}\n", "{core: {}}, children: {middleware: {hosts: {proxy: {tier_parent: core}}}}}"),
    ],
)
def test_braces_stay_braces(text, expected):
    after = add_tier(text, PROXY)
    assert expected in after
    assert after.count("\n") == text.count("\n")


def test_line_ends_of_windows_stay():
    text = "tiers:\r\n  children:\r\n    middleware:\r\n      hosts:\r\n        core: {}\r\n"
    assert add_tier(text, PROXY) == f"{text}        proxy:\r\n          tier_parent: core\r\n"


def test_a_role_of_another_name_is_named():
    text = "tiers:\n  children:\n    middleware:\n      hosts:\n        core: {}\n"
    assert "          tier_role: web\n" in add_tier(text, NewTier("proxy", "core", "middleware", "web"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tiers: [", "it is not YAML"),
        (
            "tiers:\n  children:\n    middleware: &m\n      hosts: {a: {}}\n    other: *m\n",
            "add there: proxy: {tier_parent",
        ),
        ("tiers:\n  children:\n    middleware: text\n", "'middleware' has no entries of its own; add there: proxy"),
    ],
)
def test_a_text_that_cannot_be_extended_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        add_tier(text, PROXY)


NAMES = st.from_regex(r"[a-z]{1,5}", fullmatch=True).filter(lambda name: name != "proxy")
TREES = st.dictionaries(
    NAMES, st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers() | st.text("ab #:\n"))), min_size=1
)


@given(TREES, st.booleans() | st.none(), st.integers(2, 6), st.sampled_from(["middleware", "other"]))
def test_the_content_is_the_old_one_and_the_new_tier(teams, style, indent, team):
    groups = {name: {"hosts": hosts} for name, hosts in teams.items()}
    before = {"tiers": {"vars": {"x": 1}, "children": {"middleware": {"hosts": {"core": None}}, **groups}}}
    text = yaml.safe_dump(before, default_flow_style=style, indent=indent, sort_keys=False)
    after = read_inventory_text(add_tier(text, NewTier("proxy", "core", team, "proxy")))
    assert ("proxy", team) in {(tier.name, tier.team) for tier in list_tiers(after)}
    hosts = after["tiers"]["children"][team]["hosts"]
    assert hosts.pop("proxy") == {"tier_parent": "core"}
    if team not in before["tiers"]["children"]:
        assert after["tiers"]["children"].pop(team) == {"hosts": {}}
    assert after == before


@pytest.mark.parametrize(
    "text", ["", "[]", "tiers:", "tiers: 1", "all: {children: }", "tiers: {children: {a: , b: 1}}"]
)
def test_other_content_has_no_tiers(text):
    assert list_tiers(read_inventory_text(text)) == []
