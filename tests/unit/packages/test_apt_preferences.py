"""The version that apt would choose; the cases are those of apt_preferences(5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.apt_preferences import (
    Offer,
    SuiteComponent,
    candidate,
    pins,
)

STABLE = SuiteComponent("deb.example.org", "main", {"suite": "stable", "codename": "bookworm", "origin": "Debian"})
BACKPORTS = SuiteComponent(
    "deb.example.org",
    "main",
    {"suite": "stable-backports", "notautomatic": "yes", "butautomaticupgrades": "yes", "label": "Backports"},
)
EXPERIMENTAL = SuiteComponent("deb.example.org", "main", {"suite": "rc-buggy", "notautomatic": "yes"})
OTHER = SuiteComponent("other.example.org", "extra", {"suite": "any", "origin": "Other"})


def pin(package, wanted, priority):
    return f"Explanation: x\nPackage: {package}\nPin: {wanted}\nPin-Priority: {priority}\n\n"


@pytest.mark.parametrize(
    ("offers", "text", "chosen"),
    [
        ([], "", "2"),
        ([("1", STABLE)], "", "2"),
        ([("3", STABLE), ("4", OTHER)], "", "4"),
        ([("3", BACKPORTS)], "", "3"),
        ([("3", BACKPORTS), ("2", STABLE)], "", "2"),
        ([("2", BACKPORTS), ("3", BACKPORTS)], "", "3"),
        ([("3", EXPERIMENTAL)], "", "2"),
        ([("3", STABLE), ("4", OTHER)], pin("*", "origin other.example.org", 400), "3"),
        ([("3", STABLE), ("4", OTHER)], pin("*", "release o=Other", -1), "3"),
        ([("3", STABLE), ("4", OTHER)], pin("ssl", "version 3*", 900), "3"),
        ([("3", STABLE), ("4", OTHER)], pin("*", "release c=extra", 100) + pin("ss*", "release a=any", 990), "4"),
        ([("3", STABLE), ("4", OTHER)], pin("other", "release a=any", -1), "4"),
        ([("3", STABLE), ("4", OTHER)], pin("*", "release bookworm", 600), "3"),
        ([("1", STABLE)], pin("*", "release n=bookworm", 1001), "1"),
        ([("3", BACKPORTS), ("2", STABLE)], pin("*", "release a=stable-backports, l=Backports", 500), "3"),
        ([("3", STABLE)], pin("/.*/", "release a=stable", -1), "3"),
        ([("3", STABLE)], "Package: ssl\nPin: release\n\nPin: nothing\n", "3"),
    ],
)
def test_candidate(offers, text, chosen):
    assert candidate("ssl", "2", [Offer(*offer) for offer in offers], list(pins(text))) == chosen


@given(st.text("Package:in*Pr oy\n1/-"))
def test_any_text_is_parsed_or_ignored(text):
    candidate("ssl", "2", [Offer("3", STABLE)], list(pins(text)))
