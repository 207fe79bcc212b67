"""The documentation of variables and rules agrees with the library."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import verbs
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier_variables import (
    CONFIG_SPEC,
    RUN_VARIABLES,
    TIER_SPEC,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.residue import BY_FAMILY, COMMON
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.settings import WATCH_SPEC

TEXT = (Path(__file__).parents[2] / "docs/variables.md").read_text()


def section(title: str) -> set[str]:
    """First cells of the table below a heading."""
    part = TEXT.partition(f"{title}\n")[2].partition("\n#")[0]
    return set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE))


def test_every_variable_is_documented():
    assert section("## Where it stands") | section("## What it is") == set(TIER_SPEC)
    assert section("## How the run goes") == set(RUN_VARIABLES)
    assert section("### `tier_config`") == set(CONFIG_SPEC)
    assert section("## What a watcher does") == set(WATCH_SPEC)


@pytest.mark.parametrize("variable", ["tier_bootstrap", "tier_import", "tier_follow", "tier_cage"])
def test_every_key_is_documented(variable):
    assert section(f"### `{variable}`") == set(TIER_SPEC[variable]["options"])


def test_all_rules_for_left_out_files_are_documented():
    text = (Path(__file__).parents[2] / "docs/sealing.md").read_text()
    rules = [*COMMON, *(rule for rules in BY_FAMILY.values() for rule in rules)]
    rows = [
        f"| {rule.why} | {rule.treatment.value} | {', '.join(f'`{pattern}`' for pattern in rule.patterns)} |"
        for rule in rules
    ]
    assert re.findall(r"^\| [^|]+ \| (?!becomes)[^|]+ \| `.*$", text, re.MULTILINE) == rows


def test_links_have_a_target():
    root = Path(__file__).parents[2]
    for page in [root / "README.md", *(root / "docs").glob("*.md"), *(root / "roles").glob("*/README.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), (page, target)


def test_the_help_of_all_verbs_is_up_to_date():
    assert verbs.PAGE.read_text() == verbs.text(), "run tests/verbs.py"
